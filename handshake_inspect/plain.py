"""Classes of data that are cheap to import and cheap to make.

`dataclasses` writes the source of every method of every class and compiles it: 0.24 ms for three methods, 0.7 for the
six of a frozen one, and a command imports 140 classes. So equality, hash and text are written once, here, and so is the
`__init__` of classes of which a run makes few objects.

- `plain`: values. Equal and hashed by their fields, never changed, with slots.
- `frozen`: values likewise, with room for `cached_property` instead of slots.
- `mutable`: fields may be assigned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def plain(kind: type[T]) -> type[T]:
    """Make a dataclass of values: its objects are equal, and hash alike, if all their fields do.

    It keeps the `__init__` of `dataclasses`, which takes 1.0 µs for a `Step`; that of a frozen dataclass takes 3.1,
    because it sets each field by object.__setattr__. Only mypy forbids assigning the fields.
    """
    made = dataclass(slots=True, eq=False, repr=False)(kind)
    return _with(made, __eq__=_equality(made), __hash__=_hash(made), __repr__=_text)


@dataclass_transform(field_specifiers=(field,))
def mutable(kind: type[T]) -> type[T]:
    """Make a dataclass whose objects are equal if all their fields are, and cannot be hashed.

    To make one takes 1 µs more than if its `__init__` were written out. Of the options of a field, `default`,
    `default_factory`, `init`, `compare` and `repr` are supported.
    """
    made = dataclass(init=False, eq=False, repr=False, match_args=False)(kind)
    return _with(made, __init__=_init_of(made), __eq__=_equality(made), __hash__=None, __repr__=_text)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """Make a dataclass likewise, whose objects are hashed by their fields; mypy forbids assigning these."""
    made = dataclass(init=False, eq=False, repr=False, match_args=False)(kind)
    return _with(made, __init__=_init_of(made), __eq__=_equality(made), __hash__=_hash(made), __repr__=_text)


def _with(made: type[T], **methods: Any) -> type[T]:
    """Give a class these methods, except those that it defines itself."""
    for name, method in methods.items():
        if name not in vars(made):
            setattr(made, name, method)
    return made


def _values_of(kind: type[Any]) -> Callable[[Any], Any]:
    """Return a function that returns what is compared of an object."""
    return attrgetter(*(one.name for one in fields(kind) if one.compare))


def _equality(kind: type[Any]) -> Callable[[Any, object], bool]:
    values = _values_of(kind)

    def is_equal(self: Any, other: object) -> bool:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return is_equal


def _hash(kind: type[Any]) -> Callable[[Any], int]:
    values = _values_of(kind)
    return lambda self: hash(values(self))


def _init_of(kind: type[Any]) -> Callable[..., None]:
    """Return an `__init__` that takes the fields by position or by name. Raises TypeError if they do not fit."""
    given_names = [one.name for one in fields(kind) if one.init]
    all_names = set(given_names)
    defaults = {one.name: one.default for one in fields(kind) if one.default is not MISSING}
    factories = [(one.name, one.default_factory) for one in fields(kind) if one.default_factory is not MISSING]
    finishes = hasattr(kind, "__post_init__")

    def init(self: Any, *given: Any, **named: Any) -> None:
        values = defaults | dict(zip(given_names, given, strict=False)) | named
        for name, make in factories:
            if name not in values:
                values[name] = make()
        if values.keys() != all_names or len(given) > len(given_names):
            raise TypeError(f"{kind.__qualname__} has the fields {', '.join(given_names)}, not {', '.join(values)}")
        self.__dict__.update(values)
        if finishes:
            self.__post_init__()

    return init


def _text(self: Any) -> str:
    """Spell an object as one makes it."""
    given = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({given})"
