from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from handshake_inspect.cli import cli
from handshake_inspect.lab.page import CAPTURES, Page
from handshake_inspect.lab.scenarios import ALL, SCENARIOS
from handshake_inspect.lab.scenarios.scenario import Scenario
from handshake_inspect.lab.segments import TCP, UDP, transport_of
from tests.lab.privileges import needs_private_world

PCAPS = Path(__file__).parents[2] / "pcaps"
LETTERS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16}


def frames(path: Path) -> Iterator[bytes]:
    """Read a pcap as its format says: little-endian, nanoseconds, Ethernet."""
    octets = path.read_bytes()
    assert struct.unpack_from("<IHHIIII", octets) == (0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
    place, last_ns = 24, 0
    while place < len(octets):
        seconds, nanoseconds, captured, original = struct.unpack_from("<IIII", octets, place)
        assert captured == min(original, SCENARIOS[path.name.split(".")[0]].snap_octets)
        assert last_ns <= (last_ns := seconds * 10**9 + nanoseconds)
        yield octets[place + 16 : place + 16 + captured]
        place += 16 + captured


def transports(path: Path) -> list[tuple[int, bytes]]:
    found = [transport_of(frame) for frame in frames(path)]
    return [pair for pair in found if pair is not None]


@pytest.mark.parametrize("scenario", [s for s in ALL if s.closing is not None], ids=lambda s: s.name)
def test_the_tcp_captures_hold_what_their_scenario_says(scenario: Scenario) -> None:
    headers = [header for protocol, header in transports(PCAPS / f"{scenario.name}.pcap") if protocol == TCP]
    flags = [header[13] for header in headers]
    assert flags[0] == LETTERS["SYN"]
    closing = next((row for row, bits in enumerate(flags) if bits & 5), len(flags))
    wanted = [sum(LETTERS[name] for name in names.split(",")) for names in scenario.closing or ()]
    assert flags[closing:] == wanted
    if scenario.name not in ("unanswered", "unreachable"):  # a SYN is there again, and as a whole in an ICMP error
        keys = [(header[:14], len(header)) for header in headers]
        assert len(set(keys)) == len(keys)


def test_the_unanswered_syn_is_there_four_times() -> None:
    headers = [header for _, header in transports(PCAPS / "unanswered.pcap")]
    assert [header[13] for header in headers] == [LETTERS["SYN"]] * 4
    assert len({header[4:8] for header in headers}) == 1


def test_the_icmp_errors_of_a_real_router() -> None:
    syn, told = frames(PCAPS / "unreachable.pcap")
    assert told[34:36] == b"\x03\x00"  # network unreachable
    assert told[26:30] == bytes([192, 0, 2, 1])
    assert told[42 + 20 : 42 + 28] == syn[34:42]
    needed = [frame for frame in frames(PCAPS / "path-mtu.pcap") if frame[23] == 1]
    assert [frame[34:36] + frame[40:42] for frame in needed] == [b"\x03\x04" + (1200).to_bytes(2)]
    ours = [
        frame for frame in frames(PCAPS / "path-mtu.pcap") if frame[23] == 6 and frame[26:30] == bytes([192, 0, 2, 2])
    ]
    assert sorted({len(frame) - 14 for frame in ours} & set(range(1000, 1500))) == [1200, 1352]


def test_the_udp_captures_hold_question_answer_and_quote() -> None:
    (_, asked), (_, answered) = transports(PCAPS / "udp.pcap")
    assert (asked[8:], answered[8:]) == (b"bith", b"BITH")
    (protocol, asked), (quoted_protocol, quoted) = transports(PCAPS / "udp-unreachable.pcap")
    assert protocol == quoted_protocol == UDP
    assert quoted[:8] == asked[:8]
    assert list(frames(PCAPS / "udp-unreachable.pcap"))[1][34:36] == b"\x03\x03"  # port unreachable


def test_scapy_reads_every_capture() -> None:
    from scapy.utils import RawPcapReader

    for path in PCAPS.glob("*.pcap"):
        with RawPcapReader(str(path)) as reader:
            assert [octets for octets, _ in reader] == list(frames(path))


def record(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["lab", "record", *arguments])


def test_recording_writes_the_capture_and_its_line(tmp_path: Path) -> None:
    needs_private_world()
    result = record("refused", "udp", "-o", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert sorted(result.output.splitlines()) == [f"{tmp_path / 'refused.pcap'}", f"{tmp_path / 'udp.pcap'}"]
    assert [header[13] for _, header in transports(tmp_path / "refused.pcap")] == [0x02, 0x14]
    page = Page.read(tmp_path)
    assert [line["file"] for line in page.captures] == ["refused.pcap", "udp.pcap"]
    assert [line["handshake"] for line in page.connections] == ["refused"]
    assert [line["must be found"] for line in page.exchanges] == ["1 datagram, 1 answer"]
    assert page.captures[0]["recorded by"] == f"`handshake-inspect lab record refused -o {tmp_path}`"
    text = (tmp_path / "README.md").read_text()
    assert "-o pcaps" not in text
    assert "A test checks" not in text
    assert CliRunner().invoke(cli, ["check", str(tmp_path)]).stdout == "ok: 1 connection in 2 captures\n"


def test_recording_one_leaves_the_lines_of_the_others(tmp_path: Path) -> None:
    needs_private_world()
    (tmp_path / "reset.pcap").write_bytes(b"")
    page = Page()
    page.put({**dict.fromkeys(CAPTURES, "-"), "file": "reset.pcap", "kernel": "Linux 5.4"}, (), None)
    page.put({**dict.fromkeys(CAPTURES, "-"), "file": "gone.pcap"}, (), None)
    page.write(tmp_path, list(SCENARIOS))
    assert record("refused", "-o", str(tmp_path)).exit_code == 0
    kernels = {line["file"]: line["kernel"] for line in Page.read(tmp_path).captures}
    assert kernels["reset.pcap"] == "Linux 5.4"
    assert kernels["refused.pcap"] != "Linux 5.4"
    assert "gone.pcap" not in kernels


def test_the_page_of_our_own_captures_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "handshake_inspect" / "lab" / "scenarios").mkdir(parents=True)
    (tmp_path / "pcaps").mkdir()
    page = Page.read(PCAPS)
    for line in page.captures:
        (tmp_path / "pcaps" / line["file"]).touch()
    page.write(tmp_path / "pcaps", list(SCENARIOS))
    assert (tmp_path / "pcaps" / "README.md").read_text() == (PCAPS / "README.md").read_text()


def test_the_page_of_somebody_else_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# My project\n")
    result = record("refused", "-o", str(tmp_path))
    assert result.exit_code == 2
    assert result.output == (
        f"Error: {tmp_path}/README.md is no page of recorded captures, and would be written over: take another folder\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "# My project\n"


@pytest.mark.parametrize("more", [(), ("--calls",)])
def test_a_folder_that_cannot_be_made_is_one_line(more: tuple[str, ...]) -> None:
    result = record("refused", "-o", "/proc/captures", *more)
    assert result.exit_code == 2
    assert result.output == "Error: /proc/captures: the folder cannot be made: No such file or directory\n"


@pytest.mark.parametrize(("more", "file"), [((), "expect.toml"), (("--calls",), "json")])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, more: tuple[str, ...], file: str) -> None:
    needs_private_world()
    (tmp_path / f"refused.{file}").symlink_to("/dev/full")
    result = record("refused", "-o", str(tmp_path), *more)
    assert result.exit_code == 2
    full = f"{tmp_path}/refused.{file}: cannot be written: No space left on device"
    assert result.output.splitlines()[-1] == f"Error: {full}"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "nonsense: no such scenario; `lab list` shows them."),
        ([], "name the scenarios, or --all for all of them"),
        (["--all", "refused"], "name the scenarios, or --all for all of them"),
    ],
)
def test_what_cannot_be_recorded_is_said_in_one_line(arguments: list[str], says: str, tmp_path: Path) -> None:
    result = record(*arguments, "-o", str(tmp_path))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {says}")
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_scenarios_are_listed_each_with_its_sentence() -> None:
    result = CliRunner().invoke(cli, ["lab", "list"], env={"COLUMNS": "300"})
    assert result.exit_code == 0
    lines = [line.strip() for line in result.output.splitlines()]
    assert [line for line in lines if line.split(" ")[0] in SCENARIOS] == [
        f"{name:{max(map(len, SCENARIOS))}}  {scenario.shows}" for name, scenario in SCENARIOS.items()
    ]
    assert lines[-1].startswith("unix ")
    names = CliRunner().invoke(cli, ["lab", "list", "--names"]).output
    assert names.split() == list(SCENARIOS)
