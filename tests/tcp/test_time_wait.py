"""The profiles of TIME-WAIT, and how they are asked for."""

from __future__ import annotations

import pytest

from handshake_inspect.tcp.time_wait import PROFILES, SECOND_NS, profile_of


@pytest.mark.parametrize(
    ("name", "seconds"), [("linux", 60), ("rfc", 240), ("freebsd", 60), ("macos", 30), ("windows", 120)]
)
def test_a_name_is_one_of_the_table_and_its_assumption_has_the_seconds(name: str, seconds: int) -> None:
    profile = profile_of(name)
    assert profile is PROFILES[name]
    assert profile.length_ns == seconds * SECOND_NS
    assert f"{seconds} s" in profile.assumption


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("linux", 32768, 60999),
        ("rfc", 49152, 65535),
        ("freebsd", 10000, 65535),
        ("macos", 49152, 65535),
        ("windows", 49152, 65535),
        ("45", 32768, 60999),
    ],
)
def test_each_has_its_ephemeral_ports_and_says_whose_they_are(name: str, first: int, last: int) -> None:
    ports = profile_of(name).ports
    assert (ports.first, ports.last, ports.count) == (first, last, last - first + 1)
    assert str(ports) == f"{first}-{last} ({ports.source})"
    whose = "RFC" if name == "rfc" else "linux" if name == "45" else name
    assert ports.source.casefold().startswith(whose.casefold())


def test_only_on_linux_is_it_known_that_any_segment_restarts_it() -> None:
    assert [one.name for one in PROFILES.values() if one.any_segment_restarts] == ["linux"]


@pytest.mark.parametrize(
    ("text", "name", "length_ns"),
    [
        ("45", "45s", 45 * SECOND_NS),
        ("45s", "45s", 45 * SECOND_NS),
        ("045.0", "45s", 45 * SECOND_NS),
        ("0.25", "0.25s", SECOND_NS // 4),
        ("1e3", "1000s", 1000 * SECOND_NS),
        ("0.000000001", "0.000000001s", 1),
        ("1000000000", "1000000000s", 1_000_000_000 * SECOND_NS),
        (45, "45s", 45 * SECOND_NS),
        (0.25, "0.25s", SECOND_NS // 4),
    ],
)
def test_seconds_are_a_profile_too_and_its_name_gives_it_again(text: str | float, name: str, length_ns: int) -> None:
    profile = profile_of(text)
    assert (profile.name, profile.length_ns) == (name, length_ns)
    assert profile_of(name) == profile


@pytest.mark.parametrize("text", ["0", "-1", "0s", "nan", "inf", "-inf", "1000000001", "0.0000000001"])
def test_what_is_no_length_is_refused_with_the_bounds(text: str) -> None:
    with pytest.raises(ValueError, match="more than 0 and at most 1,000,000,000 seconds"):
        profile_of(text)


@pytest.mark.parametrize("text", ["", "Linux", "bsd", "60 ms", "1,5", "s"])
def test_what_is_no_number_is_refused_with_the_names(text: str) -> None:
    with pytest.raises(ValueError, match="none of linux, rfc, freebsd, macos, windows, and no number of seconds"):
        profile_of(text)
