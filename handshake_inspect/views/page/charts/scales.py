"""The ticks of axes, and their words. `timeline-words.js` has the same steps of time.

In: how far an axis reaches. Out: ticks, each with its place and its words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from handshake_inspect.quantities import DAY_NS, HOUR_NS, MINUTE_NS, YEAR_NS
from handshake_inspect.tcp.time_wait import SECOND_NS

#: Units of time, the longest first.
UNITS = (
    ("year", YEAR_NS),
    ("day", DAY_NS),
    ("h", HOUR_NS),
    ("min", MINUTE_NS),
    ("s", SECOND_NS),
    ("ms", 1_000_000),
    ("µs", 1000),
    ("ns", 1),
)
#: Steps that are round for people, beside 1, 2 and 5 times a power of ten.
_STEPS_NS = [
    *(factor * 10**power for power in range(11) for factor in (1, 2, 5) if factor * 10**power <= 10 * SECOND_NS),
    *(count * SECOND_NS for count in (15, 30)),
    *(count * MINUTE_NS for count in (1, 2, 5, 10, 15, 30)),
    *(count * HOUR_NS for count in (1, 2, 3, 6)),
    *(count * DAY_NS for count in (1, 2, 5, 10, 20, 50, 100)),
    *(count * YEAR_NS for count in (1, 2, 5, 10, 20, 50, 100)),
]
#: An axis of time has fewer ticks than this, besides the one at 0.
MOST_TICKS = 9


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick of an axis."""

    #: Where it stands, as a share of the axis: 0 at its beginning, 1 at its end.
    place: float
    words: str
    #: Every other one is left out where there is little room.
    is_spare: bool = False


def time_ticks(end_ns: int) -> list[Tick]:
    """Return ticks at round distances from the first moment, 0. The axis ends at the distance `end_ns`."""
    # The longest step has three ticks in the 292 years that 64 bits hold.
    step = next(one for one in _STEPS_NS if end_ns // one < MOST_TICKS)
    unit = _unit(step, end_ns)
    return [
        Tick(number * step / max(end_ns, 1), _in_unit(number * step, *unit), is_spare=number % 2 == 1)
        for number in range(end_ns // step + 1)
    ]


def _unit(step_ns: int, end_ns: int) -> tuple[str, int]:
    """Return the longest unit in which all ticks are short numbers: 0.5 s, 75 s, 2 min, 5 years, but not 1.25 min."""

    def is_fit(unit_ns: int) -> bool:
        return step_ns % unit_ns == 0 if unit_ns > SECOND_NS else unit_ns <= min(1000 * step_ns, max(end_ns, 1))

    return next(one for one in UNITS if is_fit(one[1]))


def _in_unit(offset_ns: int, name: str, unit_ns: int) -> str:
    number = f"{offset_ns / unit_ns:,.3f}".rstrip("0").rstrip(".")
    plural = "s" if name in ("day", "year") and offset_ns > unit_ns else ""
    return f"{number} {name}{plural}" if offset_ns else "0"


def count_ticks(most: int) -> list[int]:
    """Return two or three round counts up to `most`, without 0."""
    if most < 1:
        return []
    rough = most / 3
    power = 10 ** math.floor(math.log10(max(rough, 1)))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [step * number for number in range(1, most // step + 1)] or [most]


def decade_ticks(low_ns: int, high_ns: int) -> list[Tick]:
    """Return ticks of a logarithmic axis between two powers of ten: at each, and at 2 and 5 times if they are few."""
    first, last = round(math.log10(low_ns)), round(math.log10(high_ns))
    factors = (1, 2, 5) if last - first <= 2 else (1,)
    values = [factor * 10**power for power in range(first, last + 1) for factor in factors]
    return [
        Tick(log_place(value, low_ns, high_ns), decade_words(value), is_spare=len(values) > 4 and place % 2 == 1)
        for place, value in enumerate(values)
        if value <= high_ns
    ]


def log_place(value_ns: int, low_ns: int, high_ns: int) -> float:
    """Return the place of a duration on a logarithmic axis, as a share of it; 0 is placed with the shortest."""
    span = math.log10(high_ns) - math.log10(low_ns)
    return min(max((math.log10(max(value_ns, low_ns)) - math.log10(low_ns)) / span, 0.0), 1.0)


def decade_words(duration_ns: int) -> str:
    """Return a round duration in its unit: `10 µs`, `1 ms`, `100 s`."""
    name, unit = next(one for one in UNITS if one[0] in ("s", "ms", "µs", "ns") and duration_ns >= one[1])
    return f"{duration_ns // unit:,} {name}"


def short_duration(duration_ns: int) -> str:
    """Return a duration with three digits and its unit: `66.9 µs`, `1.25 ms`, `60.0 s`, `0`."""
    for name, unit in UNITS[3:]:
        if abs(duration_ns) >= unit:
            value = duration_ns / unit
            return f"{value:.0f} {name}" if abs(value) >= 100 or unit == 1 else f"{value:.3g} {name}"
    return "0"
