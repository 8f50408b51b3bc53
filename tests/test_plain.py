"""Classes of data behave as dataclasses do, wherever mypy finds nothing wrong."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import pytest

from handshake_inspect.plain import frozen, mutable, plain


@plain
class Place:
    """Has all that fields may have."""

    line: int
    column: int = 1
    notes: tuple[str, ...] = field(default=())


@plain
class Named(Place):
    """One more field than its base."""

    name: str = "here"


@plain
class Alone:
    """A single field."""

    line: int


@dataclass(frozen=True, slots=True)
class Frozen:
    """What it is compared to."""

    line: int
    column: int = 1
    notes: tuple[str, ...] = ()


def test_objects_are_equal_and_hash_alike_if_their_fields_do() -> None:
    assert Place(3) == Place(3, 1, ())
    assert hash(Place(3, notes=("a",))) == hash(Place(3, notes=("a",)))
    assert Place(3) != Place(4)
    assert len({Place(3), Place(3), Place(4), Alone(3), Alone(3)}) == 3


def test_objects_of_other_classes_are_others() -> None:
    assert Place(3) != Named(3)
    assert Named(3) != Place(3)
    assert Named(3) == Named(3, name="here")
    assert Named(3) != Named(3, name="there")
    others: list[object] = [(3, 1, ()), 3]
    assert Place(3) not in others
    assert Alone(3) not in others


@pytest.mark.parametrize("given", [(3,), (3, 4), (3, 4, ("a", "b"))])
def test_it_is_spelled_as_a_dataclass(given: tuple[int, int, tuple[str, ...]]) -> None:
    assert repr(Place(*given)) == repr(Frozen(*given)).replace("Frozen", "Place")


def test_it_can_be_copied_sent_and_replaced() -> None:
    one = Named(3, 4, ("a",), "there")
    assert pickle.loads(pickle.dumps(one)) == copy.copy(one) == copy.deepcopy(one) == one
    assert replace(one, column=5) == Named(3, 5, ("a",), "there")
    assert [each.name for each in fields(one)] == ["line", "column", "notes", "name"]


def test_what_cannot_be_hashed_says_so() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Place([]))  # type: ignore[arg-type]


@mutable
class Span:
    """Has all that fields may have."""

    begin: int
    end: int = 10
    notes: list[str] = field(default_factory=list)
    octets: int = field(init=False)

    def __post_init__(self) -> None:
        self.octets = self.end - self.begin


@mutable
class NamedSpan(Span):
    """One more field than its base."""

    name: str = "here"


class Doubled(Span):
    """No field more, but another end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.octets *= 2


@frozen
class Size:
    """Computes something once."""

    octets: int
    note: str = field(default="", compare=False, repr=False)

    @cached_property
    def bits(self) -> int:
        """What is computed from it."""
        return 8 * self.octets


def test_fields_are_given_by_position_by_name_or_by_default() -> None:
    for one in (Span(3), Span(3, 10), Span(begin=3), Span(3, end=10, notes=[])):
        assert (one.begin, one.end, one.notes, one.octets) == (3, 10, [], 7)
    assert Span(3).notes is not Span(3).notes
    other = NamedSpan(3, name="there")
    assert (other.begin, other.octets, other.name) == (3, 7, "there")
    assert Doubled(3).octets == 14


@pytest.mark.parametrize(
    ("given", "named"), [((), {}), ((1, 2, [], 4), {}), ((1,), {"length": 3}), ((), {"end": 1}), ((), {"octets": 1})]
)
def test_fields_that_do_not_fit_are_refused(given: tuple[int, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="Span has the fields begin, end, notes, not"):
        Span(*given, **named)  # type: ignore[arg-type]


def test_what_may_change_is_equal_if_its_fields_are_and_has_no_hash() -> None:
    one = Span(3)
    assert one == Span(3)
    assert one != NamedSpan(3)
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)
    one.end = 20
    assert one != Span(3)
    assert repr(one) == "Span(begin=3, end=20, notes=[], octets=7)"
    sent = pickle.loads(pickle.dumps(one))
    assert (sent.begin, sent.end) == (3, 20)
    assert replace(one, begin=4).octets == 16
    assert [each.name for each in fields(one)] == ["begin", "end", "notes", "octets"]


def test_what_is_frozen_is_a_value_that_may_keep_what_it_computes() -> None:
    one = Size(3)
    assert one.bits == 24
    assert one == Size(3, "a note")
    assert len({one, Size(3, "a note"), Size(4)}) == 2
    assert one.__dict__ == {"octets": 3, "note": "", "bits": 24}
    assert repr(Size(3, "a note")) == "Size(octets=3)"


def test_methods_of_its_own_stay() -> None:
    @frozen
    class Own:
        """Has all of them."""

        line: int

        def __eq__(self, other: object) -> bool:
            return other == 7

        def __hash__(self) -> int:
            return 7

        def __repr__(self) -> str:
            return "own"

    assert Own(3) == 7
    assert (hash(Own(3)), repr(Own(3))) == (7, "own")
