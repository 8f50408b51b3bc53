"""A class of plain data behaves as a frozen dataclass does, wherever nobody tries to change it."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass, field, fields, replace

import pytest

from handshake_inspect.plain import plain


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
