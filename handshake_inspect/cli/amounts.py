"""Sizes and durations on the command line: `100MB`, `64 MiB`, `1h`, `0.5`.

In: text. Out: octets or seconds. Anything else is refused in one line that shows how to write it.
"""

from __future__ import annotations

import re
from fractions import Fraction

import click

from handshake_inspect.conditions.moments import UNITS_NS
from handshake_inspect.tcp.time_wait import SECOND_NS

OCTETS = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}
BINARY = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
SIZE_UNITS = {unit.lower() + b: count for unit, count in (OCTETS | BINARY).items() for b in ("", "b")}
#: Seconds by unit; finer ones than a second are for other options.
SPAN_UNITS = {unit: ns // SECOND_NS for unit, ns in UNITS_NS.items() if ns >= SECOND_NS} | {"d": 86_400}

#: What the ring of a live capture is made of, and how small it may be (two blocks). That of `capture.live` would import
#: it for every help.
RING_BLOCK_OCTETS = 512 << 10
RING_OCTETS_MIN = 2 * RING_BLOCK_OCTETS
#: The largest: the kernel clears all of it before the first frame, at 1 GiB/s, and does nothing else on that core.
RING_OCTETS_MAX = 4 << 30
#: One of this size, the default, is not asked whether there is memory for it: the capture takes what it can get.
RING_OCTETS_UNASKED = 64 << 20

_AMOUNT = re.compile(r"\s*(?P<number>\d{1,15}(?:\.\d{1,9})?)\s*(?P<unit>[a-zA-Z]*)\s*", re.ASCII)


def size(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """Read the value of an option as octets. Raises click.BadParameter."""
    if text is None:
        return None
    octets = amount(text, SIZE_UNITS, fold_case=True)
    if octets is None:
        raise click.BadParameter(f"{text!r} is no size; write 64MB, 1.5GiB or a number of octets")
    return octets


def ring_size(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    """Read the size of the ring as octets, in whole blocks. Raises click.BadParameter."""
    octets = size(context, option, text)
    if octets is not None and octets < RING_OCTETS_MIN:
        raise click.BadParameter(f"{text!r} is less than 1MiB, the smallest there is")
    if octets is not None and octets > RING_OCTETS_MAX:
        raise click.BadParameter(f"{text!r} is more than 4GiB, the largest there is: the kernel clears all of it first")
    if octets is not None and octets > RING_OCTETS_UNASKED:
        from handshake_inspect.memory import available_octets  # numpy and ctypes, which no help needs

        if (half := available_octets() // 2) < octets:
            raise click.BadParameter(
                f"{text!r} is more than half of the memory that is free: take {half >> 20}MiB at most, it is the "
                "kernel's as long as the capture lasts"
            )
    return None if octets is None else -(-octets // RING_BLOCK_OCTETS) * RING_BLOCK_OCTETS


def sizes_and_spans(
    _context: click.Context, _option: click.Parameter, texts: tuple[str, ...]
) -> tuple[int | None, int | None]:
    """Read the values of an option that takes a size, a duration, or both, as octets and seconds.

    Raises click.BadParameter.
    """
    octets: int | None = None
    seconds: int | None = None
    for text in texts:
        span = amount(text, SPAN_UNITS)
        octets_here = None if span is not None or text.strip().isdigit() else amount(text, SIZE_UNITS, fold_case=True)
        if span is None and octets_here is None:
            raise click.BadParameter(f"{text!r} is neither a size (100MB) nor a span of time (90s, 15min, 1h, 1d)")
        if (span is not None and seconds is not None) or (octets_here is not None and octets is not None):
            raise click.BadParameter(f"{text!r} is a second one of its kind: one size and one span of time")
        octets, seconds = octets_here or octets, span or seconds
    return octets, seconds


def amount(text: str, units: dict[str, int], *, fold_case: bool = False) -> int | None:
    """Return a number with its unit as a whole number, at least 1; None if it is 0 or has another unit."""
    found = _AMOUNT.fullmatch(text)
    unit = units.get(found["unit"].lower() if fold_case else found["unit"]) if found else None
    exact = Fraction(found["number"]) * unit if found and unit else 0
    return max(int(exact), 1) if exact else None
