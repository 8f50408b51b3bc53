"""Counts, sizes and durations in words, the same for every finding and every view.

In: integers. Out: short English text.
"""

from __future__ import annotations

MINUTE_NS, HOUR_NS, DAY_NS = 60_000_000_000, 3_600_000_000_000, 86_400_000_000_000
YEAR_NS = 31_556_952 * 1_000_000_000


def milliseconds(nanoseconds: int) -> str:
    """Return a duration in milliseconds with three decimals, rounded to nearest: `0.038`."""
    sign = "-" if nanoseconds < 0 else ""
    micros = (abs(nanoseconds) + 500) // 1000
    return f"{sign}{micros // 1000}.{micros % 1000:03d}"


def seconds(nanoseconds: int) -> str:
    """Return a duration in seconds with three decimals, rounded to nearest: `60.452`."""
    return milliseconds((nanoseconds + 500) // 1000 if nanoseconds >= 0 else -((500 - nanoseconds) // 1000))


def duration(nanoseconds: int) -> str:
    """Return a duration with its unit: `0.020 ms`, `1.250 s`, `26.3 min`, `46.7 years`."""
    if abs(nanoseconds) >= 2 * YEAR_NS:
        return f"{nanoseconds / YEAR_NS:.1f} years"
    if abs(nanoseconds) >= 2 * DAY_NS:
        return f"{nanoseconds / DAY_NS:.1f} days"
    if abs(nanoseconds) >= 2 * HOUR_NS:
        return f"{nanoseconds / HOUR_NS:.1f} h"
    if abs(nanoseconds) >= 10 * MINUTE_NS:
        return f"{nanoseconds / MINUTE_NS:.1f} min"
    if abs(nanoseconds) >= 1_000_000_000:
        return seconds(nanoseconds) + " s"
    return milliseconds(nanoseconds) + " ms"


def duration_or_dash(nanoseconds: int | None) -> str:
    """Return a duration with its unit; "-" if it is not known."""
    return "-" if nanoseconds is None else duration(nanoseconds)


def counted(count: int, thing: str, things: str = "") -> str:
    """Return `1 segment`, `1,204 segments`."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def listed(items: tuple[str, ...] | list[str], word: str = "and") -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def octets_in_words(count: int) -> str:
    """Spell a number of octets: "1 octet", "1,448 octets"."""
    return f"{count:,} octet" if count == 1 else f"{count:,} octets"


def capital(text: str) -> str:
    """Return a text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]
