"""Golden text: the same for every run of the same programs, and a difference that leads to its segment."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.cli import cli
from handshake_inspect.compared.comparison import compare
from handshake_inspect.compared.golden import FORMAT, GoldenLine, first_difference, read_golden, unified
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect
from handshake_inspect.lab.record import recorded
from handshake_inspect.views.golden import golden
from tests.compared.another_run import PCAPS, RUNS, Run, rerun
from tests.lab.privileges import needs_private_world

NAMES = sorted(path.name for path in PCAPS.glob("*.pcap"))
#: Around the end of the number space, and everything else moved too.
LATE = Run((2**32 - 3, 2**32 - 7), 4711, 86_400_000_000_000, 4711, 2**31)
#: A forged RST with the number 0 is told from others by where 0 lies among the numbers of the connection.
ZERO_AMONG_NUMBERS = "suricata-verify__with_evasion_windows.pcap"


def text_of(inspection: Inspection) -> str:
    return "".join(f"{line.text}\n" for line in golden(inspection))


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith(".server.pcap")])
def test_another_run_gives_the_same_text(name: str) -> None:
    assert text_of(rerun(PCAPS / name, LATE)) == text_of(inspect(PCAPS / name))


@settings(max_examples=50)
@given(name=st.sampled_from(NAMES), run=RUNS)
def test_whatever_numbers_ports_and_times_a_run_has(name: str, run: Run) -> None:
    assert text_of(rerun(PCAPS / name, run)) == text_of(inspect(PCAPS / name))


def test_public_captures_give_the_same_text_as_of_another_run(captures_dir: Path) -> None:
    paths = [path for path in sorted(captures_dir.glob("*.pcap*")) if path.name != ZERO_AMONG_NUMBERS]
    assert len(paths) > 50
    for path in paths:
        try:
            before = text_of(inspect(path))
        except CaptureError:
            continue
        assert text_of(rerun(path, LATE)) == before, path.name


@pytest.mark.parametrize("scenario", ["four-way", "three-segment", "reset", "refused"])
def test_a_scenario_recorded_twice_gives_the_same_text(scenario: str) -> None:
    needs_private_world()
    first, second = (recorded(scenario).vantages[0].inspected() for _ in range(2))
    assert text_of(first) == text_of(second)
    assert compare(first, second).is_same
    numbers = [one.connections[0].initial_seq for one in (first, second)]
    assert numbers[0] != numbers[1]


def test_the_text_holds_nothing_that_another_run_changes() -> None:
    text = text_of(inspect(PCAPS / "four-way.pcap"))
    connection = inspect(PCAPS / "four-way.pcap").connections[0]
    for number in (*(connection.initial_seq[end] for end in ("originator", "responder")), connection.originator.port):
        assert str(number) not in text
    assert connection.originator.ip not in text


def test_no_difference_whatever_ends_the_lines() -> None:
    lines = list(golden(inspect(PCAPS / "reset.pcap")))
    text = "\r\n".join(line.text for line in lines)
    assert first_difference(text, lines) is None
    assert first_difference(text + "\r\n", lines) is None


def test_a_difference_leads_to_its_segment() -> None:
    stored = text_of(inspect(PCAPS / "four-way.pcap"))
    seen = list(golden(inspect(PCAPS / "three-segment.pcap")))
    found = first_difference(stored, seen)
    assert found is not None
    assert found.expected == f"  FIN-WAIT-2?   ◀{'─' * 29} ACK seq=v ack=u+1 ─ CLOSE-WAIT"
    # The FIN of the server carries that ACK: CLOSE-WAIT is passed within this segment.
    assert next(line.text.split() for line in seen if line.frame == 9) == ["CLOSE-WAIT"]
    assert found.seen is not None
    assert (found.seen.split(), found.stream, found.frame) == (["CLOSE-WAIT"], 0, 9)
    assert stored.splitlines()[found.line - 1] == found.expected


def test_a_missing_connection_is_about_the_last_one() -> None:
    stored = text_of(inspect(PCAPS / "reset.pcap"))
    more = [*golden(inspect(PCAPS / "reset.pcap")), GoldenLine("", 1), GoldenLine("connection 2", 1)]
    found = first_difference(stored, more)
    assert found is not None
    assert (found.expected, found.stream) == (None, 1)
    fewer = list(golden(inspect(PCAPS / "reset.pcap")))[:-1]
    found = first_difference(stored, fewer)
    assert found is not None
    assert (found.seen, found.stream) == (None, 0)


def test_the_unified_difference_goes_from_the_golden_text_to_the_capture() -> None:
    stored = text_of(inspect(PCAPS / "four-way.pcap"))
    lines = list(unified(stored, list(golden(inspect(PCAPS / "three-segment.pcap"))), "echo.golden", "echo.pcap"))
    assert lines[:2] == ["--- echo.golden", "+++ echo.pcap"]
    assert sum(line.startswith("-") for line in lines) > 1
    assert any(line.startswith("+  closing    three-segment, the client first") for line in lines)


def test_a_golden_file_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    good, other, newer = (tmp_path / name for name in ("good", "other", "newer"))
    good.write_text(text_of(inspect(PCAPS / "reset.pcap")), encoding="utf-8")
    assert first_difference(read_golden(str(good)), list(golden(inspect(PCAPS / "reset.pcap")))) is None
    other.write_bytes(b"\xff\xfe hello")
    newer.write_text("handshake-inspect golden 999\n")
    for path, said in (
        (other, "no golden text"),
        (newer, "make it again"),
        (tmp_path / "none", "No such file or directory; `show --format golden` makes one"),
    ):
        with pytest.raises(CaptureError, match=said) as error:
            read_golden(str(path))
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


def test_show_prints_all_connections_unless_one_is_named() -> None:
    path = str(PCAPS / "time-wait-reused.pcap")
    count = len(inspect(path).connections)
    assert count > 1
    result = CliRunner().invoke(cli, ["show", path, "--format", "golden"])
    assert (result.exit_code, result.stdout) == (0, text_of(inspect(path)))
    assert result.stdout.startswith(FORMAT + "\n")
    one = CliRunner().invoke(cli, ["show", path, "--format", "golden", "-s", "1"])
    assert (one.exit_code, one.stdout.count("\nconnection ")) == (0, 1)
    assert CliRunner().invoke(cli, ["show", path]).exit_code == 2


def test_the_golden_text_of_four_segments_to_close() -> None:
    """The format itself: whoever changes it gives it another number."""
    assert text_of(inspect(PCAPS / "four-way.pcap")) == (Path(__file__).parent / "four-way.golden").read_text("utf-8")


def test_of_a_long_text_the_lines_near_the_first_difference_are_compared() -> None:
    golden = "\n".join(["same"] * 6000)
    seen = [GoldenLine("same")] * 5000 + [GoldenLine("other")] * 1000
    first, *lines = unified(golden, seen, "a", "b")
    assert first == "from line 4,996 on, 400 lines:"
    assert lines[:3] == ["--- a", "+++ b", "@@ -3,398 +3,398 @@"]
    assert lines.count("+other") == lines.count("-same") == 395
