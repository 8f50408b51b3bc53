"""Points in time as people write them: what `--since` and `--until` take.

In: "2026-11-21T06:40:30.5Z", "2026-11-21", "1795243230.5", "+1.5s" or "06:40:30". Out: a `Moment`; when the first frame
of the run is known, integer nanoseconds since the Unix epoch. Read first: RFC 3339 §5.6. A time without a zone is UTC.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from fractions import Fraction

from handshake_inspect.plain import plain
from handshake_inspect.tcp.time_wait import SECOND_NS

DAY_NS = 86_400 * SECOND_NS
UNITS_NS = {
    "ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": SECOND_NS, "min": 60 * SECOND_NS, "h": 3600 * SECOND_NS,
}  # fmt: skip
FORMS = (
    "2026-11-21T06:40:30.5Z, 2026-11-21 (its midnight), 1795243230.5 (since 1970), +1.5s (after the first frame) or "
    "06:40:30 (of its day)"
)

_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
_DATE_AND_TIME = re.compile(
    rf"(?P<date>\d{{4}}-\d\d-\d\d)[Tt ]{_CLOCK}(?: ?(?P<zone>Z|z|UTC|[+-]\d\d(?::?\d\d)?))?", re.ASCII
)
_DATE = re.compile(r"(?P<date>\d{4}-\d\d-\d\d)(?P<zone>)", re.ASCII)
_TIME_OF_DAY = re.compile(_CLOCK, re.ASCII)
_SINCE_1970 = re.compile(r"(?P<whole>\d{1,11})(?:\.(?P<fraction>\d{1,9}))?", re.ASCII)
_AFTER_FIRST = re.compile(rf"\+(?P<number>\d{{1,12}}(?:\.\d+)?) ?(?P<unit>{'|'.join(UNITS_NS)})", re.ASCII)


class MomentError(ValueError):
    """A text that is no point in time. The message is one line."""


@plain
class Moment:
    """A point in time: `ns` after the epoch, the first frame, or the midnight (UTC) before the first frame."""

    ns: int
    counts_from: str = "epoch"

    def at(self, first_ns: int) -> int:
        """Return nanoseconds since the epoch, for a run whose first frame was captured at `first_ns`."""
        begins = {"epoch": 0, "first frame": first_ns, "midnight": first_ns - first_ns % DAY_NS}
        return begins[self.counts_from] + self.ns


def parse_moment(text: str) -> Moment:
    """Parse a point in time. Raises MomentError."""
    if found := _DATE_AND_TIME.fullmatch(text):
        return Moment(_date_ns(found) + _clock_ns(found, text))
    if found := _DATE.fullmatch(text):
        return Moment(_date_ns(found))
    if found := _TIME_OF_DAY.fullmatch(text):
        return Moment(_clock_ns(found, text), "midnight")
    if found := _SINCE_1970.fullmatch(text):
        return Moment(int(found["whole"]) * SECOND_NS + _fraction_ns(found["fraction"]))
    if found := _AFTER_FIRST.fullmatch(text):
        return Moment(int(Fraction(found["number"]) * UNITS_NS[found["unit"]]), "first frame")
    raise MomentError(f"{text!r} is no time; write {FORMS}")


def _date_ns(found: re.Match[str]) -> int:
    """Return the begin of the day in its time zone, in nanoseconds since the Unix epoch."""
    zone = found["zone"] or "Z"
    offset = timedelta()
    if zone not in ("Z", "z", "UTC"):
        hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
        if hours > 23 or minutes > 59:
            raise MomentError(f"{found[0]!r} is no time: a zone goes from -23:59 to +23:59")
        offset = (-1 if zone[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes)
    try:
        day = datetime.fromisoformat(found["date"]).replace(tzinfo=timezone(offset))
    except ValueError as error:
        raise MomentError(f"{found[0]!r} is no time: {error}") from None
    since_1970 = day - datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - beside `timezone(offset)`
    return (since_1970.days * 86_400 + since_1970.seconds) * SECOND_NS


def _clock_ns(found: re.Match[str], text: str) -> int:
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"] or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise MomentError(f"{text!r} is no time: hours go to 23, minutes and seconds to 59")
    return (hour * 3600 + minute * 60 + second) * SECOND_NS + _fraction_ns(found["fraction"])


def _fraction_ns(digits: str | None) -> int:
    return int((digits or "").ljust(9, "0"))
