"""Plain data (dataclasses, lists, tuples, counters, dictionaries) to JSON, and back.

On the way back it is checked against the annotations of its class: the result has the types that all other code
relies on, or `TypeError` is raised.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def as_json(value: Any) -> Any:
    """Convert a value to what `json` can write."""
    if is_dataclass(value):
        return {one.name: as_json(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, dict):
        return [[as_json(key), as_json(each)] for key, each in value.items()]  # a key may be a number or a tuple
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    return value


def from_json(kind: type[T], value: Any) -> T:
    """Convert parsed JSON to a value of type `kind`. Raises TypeError."""
    return cast(T, _checked(kind, value))


def _checked(kind: Any, value: Any) -> Any:
    origin, inside = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        if not isinstance(value, dict) or value.keys() != hints.keys():
            raise TypeError(f"no {kind.__name__}")
        return kind(**{name: _checked(hints[name], each) for name, each in value.items()})
    if origin in (Union, UnionType):
        return _one_of(inside, value)
    if origin in (dict, Counter):
        key, each = (*inside, int)[:2]
        return origin({_checked(key, a): _checked(each, b) for a, b in _pairs(value)})
    if origin in (list, tuple):
        if not isinstance(value, list):
            raise TypeError("no list")
        if origin is list or inside[1:] == (...,):
            return origin(_checked(inside[0], each) for each in value)
        return tuple(_checked(one, each) for one, each in zip(inside, value, strict=True))
    if origin is Literal:
        if value not in inside:
            raise TypeError("none of the words that it may be")
        return value
    if type(value) is not kind:
        raise TypeError(f"{type(value).__name__}, no {kind.__name__}")
    return value


def _one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    for kind in kinds:
        try:
            return None if kind is type(None) and value is None else _checked(kind, value)
        except (TypeError, ValueError):
            continue
    raise TypeError("none of the types that it may have")


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise TypeError("no pairs")
    return [(a, b) for a, b in value]


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
