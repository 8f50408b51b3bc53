"""What cannot be used is told in one line, at the line of the test: nothing of the plugin's inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.expect.places import ExpectationError
from handshake_inspect.testing.handshakes import Capture, Handshakes

PCAPS = Path(__file__).parents[2] / "pcaps"


def of_file(path: Path, live_number: str | None = None) -> Handshakes:
    capture = Capture({path.name: path}, live_number=live_number)
    capture.is_going_on = False
    return Handshakes(capture)


@pytest.fixture
def empty(tmp_path: Path) -> Handshakes:
    path = tmp_path / "empty.pcap"
    path.touch()
    return of_file(path)


@pytest.fixture
def good() -> Handshakes:
    return of_file(PCAPS / "reset.pcap")


@pytest.fixture
def live() -> Handshakes:
    return of_file(PCAPS / "reset.pcap", live_number="")


@pytest.mark.parametrize(
    ("of", "ask", "error", "said"),
    [
        ("empty", lambda seen: seen.check(), CaptureError, "empty.pcap: empty; a capture begins with"),
        ("empty", lambda seen: len(seen), CaptureError, "empty.pcap: empty; a capture begins with"),
        ("empty", lambda seen: seen.expect(teardown="aborted"), CaptureError, "empty.pcap: empty; a capture begins"),
        ("empty", lambda seen: seen.one, CaptureError, "empty.pcap: empty; a capture begins with"),
        ("live", lambda seen: seen.check(), ExpectationError, "reset.pcap: a live capture has no file beside it: use"),
        ("good", lambda seen: seen.check("absent.toml"), ExpectationError, "absent.toml: cannot be read: No such file"),
        ("good", lambda seen: seen.expect(teardwn="aborted"), ExpectationError, "there is no key 'teardwn'. Did you"),
        ("good", lambda seen: seen.expect(), ExpectationError, "expect(): it expects nothing: say what, as in expect("),
        (
            "good",
            lambda seen: seen.of(where="teardown = 3"),
            ExpectationError,
            "cannot be read, == compares: teardown »=« 3",
        ),
        ("good", lambda seen: seen.expect(teardown="four-way"), AssertionError, "expected four-way, seen aborted"),
    ],
)
def test_a_report_shows_the_line_of_the_test_and_what_is_wrong(
    of: str,
    ask: Callable[[Handshakes], object],
    error: type[Exception],
    said: str,
    request: pytest.FixtureRequest,
) -> None:
    seen: Handshakes = request.getfixturevalue(of)
    with pytest.raises(error) as raised:
        ask(seen)
    assert said in str(raised.value)
    assert {entry.path for entry in raised.traceback.filter(raised)} == {Path(__file__)}


def test_what_cannot_be_used_says_so_where_it_is_shown(empty: Handshakes, good: Handshakes) -> None:
    assert repr(empty) == "<Handshakes of empty.pcap: cannot be used>"
    assert repr(good) == "<Handshakes of reset.pcap: 1 connection>"


def test_they_compare_as_lists_do(good: Handshakes) -> None:
    assert good.of(host="203.0.113.7") == []
    assert good == [*good] == good.of(host="127.0.0.1")
    assert good != []
    assert good != "reset.pcap"


def test_a_capture_without_expectations_says_how_to_write_them(tmp_path: Path) -> None:
    path = tmp_path / "echo.pcap"
    path.write_bytes((PCAPS / "reset.pcap").read_bytes())
    with pytest.raises(ExpectationError, match=r"no .*echo\.expect\.toml beside it .* --record .*echo\.pcap$"):
        of_file(path).check()


def test_the_file_beside_one_of_several_captures_says_nothing_about_all() -> None:
    capture = Capture({name: PCAPS / name for name in ("reset.pcap", "four-way.pcap")})
    capture.is_going_on = False
    with pytest.raises(ExpectationError, match="nothing is beside several captures that says what to expect; name one"):
        Handshakes(capture).check()


def test_a_live_capture_is_held_against_a_file_that_is_named(live: Handshakes, tmp_path: Path) -> None:
    expected = tmp_path / "echo.expect.toml"
    expected.write_text('schema = 1\n\n[[expect]]\nteardown = "aborted"\n')
    live.check(expected)
