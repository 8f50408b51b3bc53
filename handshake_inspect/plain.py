"""Classes of plain data, cheap to import and cheap to make.

`dataclasses` writes the source of every method of every class and compiles it: six for a frozen one, which takes 0.7
ms, and a command imports a hundred classes. A frozen one sets each field by a call of object.__setattr__, too: to make
a `Step` takes 3.1 µs then, 1.0 here. So only `__init__` comes from there; equality, hash and text are written once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def plain(kind: type[T]) -> type[T]:
    """Make a dataclass whose objects are equal, and hash alike, if all their fields do, and that nobody changes.

    mypy sees to it that nobody does.
    """
    made = dataclass(slots=True, eq=False, repr=False)(kind)
    values = attrgetter(*made.__match_args__)  # type: ignore[attr-defined]

    def is_equal(self: T, other: object) -> bool:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: T) -> int:
        return hash(values(self))

    for name, method in (("__eq__", is_equal), ("__hash__", hashed), ("__repr__", _text)):
        setattr(made, name, method)
    return made


def _text(self: Any) -> str:
    """Spell an object as one makes it."""
    given = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self))
    return f"{type(self).__qualname__}({given})"
