"""Points in time for --since and --until."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.conditions.moments import DAY_NS, FORMS, MomentError, parse_moment

#: 2026-11-21 06:40:30.175980123 UTC.
FIRST_NS = 1795243230_175980123
MIDNIGHT_NS = FIRST_NS - FIRST_NS % DAY_NS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T06:40:30Z", 1795243230_000000000),
        ("2026-11-21T06:40:30", 1795243230_000000000),
        ("2026-11-21 06:40:30.175980 UTC", 1795243230_175980000),  # as this project prints it
        ("2026-11-21t06:40:30.175980123z", 1795243230_175980123),
        ("2026-11-21T06:40", 1795243200_000000000),
        ("2026-11-21T06:40:30,5", 1795243230_500000000),
        ("2026-11-21T07:40:30+01:00", 1795243230_000000000),
        ("2026-11-21T07:40:30 +0100", 1795243230_000000000),
        ("2026-11-20T22:10:30-08:30", 1795243230_000000000),
        ("2026-11-21T08:40:30+02", 1795243230_000000000),
        ("1795243230", 1795243230_000000000),
        ("1795243230.175980123", 1795243230_175980123),
        ("0.000000001", 1),
        ("1969-12-31T23:59:59Z", -1_000_000_000),
        ("+0s", FIRST_NS),
        ("+1.5s", FIRST_NS + 1_500_000_000),
        ("+2min", FIRST_NS + 120_000_000_000),
        ("+1 h", FIRST_NS + 3_600_000_000_000),
        ("+1ns", FIRST_NS + 1),
        ("+0.3us", FIRST_NS + 300),
        ("2026-11-21", MIDNIGHT_NS),
        ("00:00:00", MIDNIGHT_NS),
        ("06:40:30.175980123", FIRST_NS),
        ("23:59", MIDNIGHT_NS + DAY_NS - 60_000_000_000),
    ],
)
def test_a_time_is_read_to_the_nanosecond(text: str, expected: int) -> None:
    assert parse_moment(text).at(FIRST_NS) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", FORMS),
        ("yesterday", FORMS),
        ("21.11.2026 06:40", FORMS),
        ("-5s", FORMS),
        ("+5", FORMS),
        ("+5 days", FORMS),
        ("1795243230.1234567891", FORMS),
        ("6:40", FORMS),
        ("1e9", FORMS),
        ("١٧٩٥", FORMS),
        ("24:00:00", "hours go to 23"),
        ("06:60", "minutes and seconds to 59"),
        ("2026-11-21T06:40:60Z", "minutes and seconds to 59"),
        ("2026-02-30T06:40:30Z", "day is out of range"),
        ("2026-11-21T06:40:30+25:00", "a zone goes from -23:59 to +23:59"),
        ("2026-11-21T06:40:30-05:75", "a zone goes from -23:59 to +23:59"),
        ("2026-02-30", "day is out of range"),
    ],
)
def test_what_is_no_time_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(MomentError) as refused:
        parse_moment(text)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.integers(0, 999))
def test_it_reads_what_datetime_writes(when: datetime, nanoseconds: int) -> None:
    text = f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond:06d}{nanoseconds:03d}Z"
    since = when.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    expected = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000 + nanoseconds
    assert parse_moment(text).at(0) == expected


@given(st.text(max_size=30) | st.from_regex(r"[+\d:TZ.,-]{1,25}", fullmatch=True))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    with contextlib.suppress(MomentError):
        assert isinstance(parse_moment(text).at(FIRST_NS), int)
