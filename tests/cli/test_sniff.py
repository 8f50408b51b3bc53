"""`sniff`: what it prints of a live capture, what it saves, what it says of losses, and how it ends."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from handshake_inspect.cli.sniff import command
from handshake_inspect.inspector import inspect
from handshake_inspect.lab.world import in_private_world
from tests.cli.running import REPOSITORY, run
from tests.lab.bursts import CONNECTIONS
from tests.lab.privileges import as_ordinary_user, needs_private_world, needs_root
from tests.lab.test_live_interfaces import pair_of_interfaces
from tests.lab.test_watch import burst

#: One echo session at port 8123: nine segments.
TALK = (
    "import socket, time\n"
    "server = socket.create_server(('127.0.0.1', 8123))\n"
    "client = socket.create_connection(('127.0.0.1', 8123)); session, _ = server.accept()\n"
    "client.send(b'bith'); session.recv(9); client.close(); time.sleep(.1); session.close()\n"
)
SEGMENTS = 9


def talk() -> None:
    subprocess.run([sys.executable, "-c", TALK], check=True)


def without_columns() -> dict[str, str]:
    """The environment without the width of a terminal: a line is complete in itself then."""
    return {**{name: value for name, value in os.environ.items() if name != "COLUMNS"}, "PYTHONIOENCODING": "utf-8"}


def sniffed(arguments: Sequence[str], meanwhile: Callable[[int], object], lines: int = 0) -> tuple[int, str, str]:
    """Sniff the network this process is in while something happens, which gets the process id.

    Ended by Ctrl-C after so many lines, unless the arguments say when.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "handshake_inspect", "sniff", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY, env=without_columns(),
    )  # fmt: skip
    assert process.stderr is not None
    first = process.stderr.readline()
    assert first.startswith("listening on "), first + process.stderr.read()
    meanwhile(process.pid)
    assert process.stdout is not None
    printed = "".join(process.stdout.readline() for _ in range(lines))
    if "--count" not in arguments and "--duration" not in arguments:
        time.sleep(0 if lines else 0.5)
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return process.returncode, printed + out, err


def during_talk(arguments: Sequence[str], lines: int = 0) -> tuple[int, str, str]:
    return sniffed(arguments, lambda _: talk(), lines)


@pytest.mark.parametrize("end", [["--duration", "2"], ["--count", "9"], []])
def test_segments_are_printed_as_they_come(end: list[str], tmp_path: Path) -> None:
    needs_private_world()
    kept = tmp_path / "kept.pcapng"
    code, out, err = in_private_world(during_talk, [*end, "--port", "8123", "-w", str(kept)], lines=SEGMENTS)
    assert code == 0, err
    lines = out.splitlines()
    assert "SYN-SENT" in lines[0]
    assert "SYN-RECEIVED" in lines[1]
    assert "TIME-WAIT" in lines[8]
    assert lines[9] == ""
    assert "three-way" in lines[11]
    assert "0 frames dropped" in err
    assert run("check", str(kept), "--teardown", "four-way").returncode == 0


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_what_comes_after_the_last_segment_wished_for_is_in_no_summary(quiet: list[str], tmp_path: Path) -> None:
    """The ninth, which completes the closing, is captured with the eighth, or so soon that both are read at once."""
    needs_private_world()
    kept = tmp_path / "kept.pcapng"
    code, out, err = in_private_world(during_talk, [*quiet, "--count", "8", "--port", "8123", "-w", str(kept)])
    assert code == 0, err
    assert "8 segments seen" in err
    assert "incomplete" in out
    assert out.splitlines()[-2:] == run("read", str(kept)).stdout.splitlines()[-2:]


def test_nothing_is_said_in_one_line() -> None:
    needs_private_world()

    def quiet() -> subprocess.CompletedProcess[str]:
        return run("sniff", "--duration", "0.3", "--port", "8123")

    done = in_private_world(quiet)
    assert done.returncode == 0
    assert done.stdout == ""
    assert done.stderr.splitlines()[1:] == ["lo: nothing seen at port 8123, 0 frames dropped"]


#: An answer, and a datagram that nobody takes.
DATAGRAMS = (
    "import socket, time\n"
    "server, client = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))\n"
    "server.bind(('127.0.0.1', 8123)); client.sendto(b'bith', ('127.0.0.1', 8123))\n"
    "server.sendto(b'BITH!', server.recvfrom(9)[1]); client.recv(9); server.close()\n"
    "client.connect(('127.0.0.1', 8123)); client.send(b'?'); time.sleep(.1)\n"
)


def during_datagrams(arguments: Sequence[str], lines: int) -> tuple[int, str, str]:
    return sniffed(arguments, lambda _: subprocess.run([sys.executable, "-c", DATAGRAMS], check=True), lines)


def test_datagrams_are_printed_where_that_is_wished() -> None:
    needs_private_world()
    code, out, err = in_private_world(during_datagrams, ["--udp", "--port", "8123"], lines=4)
    assert code == 0, err
    lines = [re.sub(r"127\.0\.0\.1:(?!8123\b)\d+", "CLIENT", line) for line in out.splitlines()]
    assert [line.partition(" ")[2] for line in lines[:4]] == [
        " udp  CLIENT → 127.0.0.1:8123  4 octets",
        " udp  127.0.0.1:8123 → CLIENT  5 octets",
        " udp  CLIENT → 127.0.0.1:8123  1 octet",
        " udp  CLIENT ← 127.0.0.1:8123  ICMP port unreachable",
    ]
    assert lines[5].startswith("udp  originator → responder ")
    assert re.search(r"2 / 1 +5 / 5 .* port unreachable$", lines[6])
    assert err == "lo: 3 datagrams seen at port 8123, 0 frames dropped\n"


def test_of_datagrams_it_is_said_that_they_were_there() -> None:
    needs_private_world()
    code, out, err = in_private_world(during_datagrams, ["--port", "8123"], lines=0)
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        "UDP: 3 datagrams; --udp lists who asked and who answered",
        "lo: no TCP segment seen at port 8123, 0 frames dropped",
    ]


def test_a_port_leaves_out_what_is_of_others(tmp_path: Path) -> None:
    needs_private_world()
    kept = tmp_path / "kept.pcapng"
    code, out, err = in_private_world(during_talk, ["--port", "8124", "-w", str(kept)])
    assert (code, out) == (0, "")
    assert "lo: nothing seen at port 8124" in err
    assert f"{kept}: 0 frames saved" in err


def test_a_filter_of_tcpdump(tmp_path: Path) -> None:
    needs_private_world()
    kept = tmp_path / "kept.pcap"
    syns = "tcp[tcpflags] & tcp-syn != 0"
    _, out, err = in_private_world(during_talk, ["--filter", syns, "-w", str(kept)], lines=2)
    assert len([line for line in out.splitlines() if "SYN" in line and "seq=" in line]) == 2
    assert "lo: 2 segments seen, 0 frames dropped" in err
    assert [one.handshake.kind for one in inspect(kept).connections] == ["half-open"]


def test_quiet_prints_what_is_found_only() -> None:
    needs_private_world()
    _, out, err = in_private_world(during_talk, ["--quiet"])
    assert [line.split()[0] for line in out.splitlines()] == ["stream", "0"]
    assert "lo: 9 segments seen, 0 frames dropped" in err


def during_talk_with_a_second_interface(arguments: Sequence[str]) -> tuple[int, str, str]:
    pair_of_interfaces("left", "right")
    return during_talk(arguments, lines=SEGMENTS)


def test_any_names_the_interface_of_each_line(tmp_path: Path) -> None:
    needs_private_world()
    kept = tmp_path / "kept.pcapng"
    arguments = ["-i", "any", "--port", "8123", "-w", str(kept)]
    _, out, err = in_private_world(during_talk_with_a_second_interface, arguments)
    assert re.fullmatch(r"[\d:.]+ +0  lo  127\.0\.0\.1:\d+ SYN-SENT .*", out.splitlines()[0])
    assert "any: 9 segments seen, 0 frames dropped" in err
    found = inspect(kept)
    assert [one.teardown.kind for one in found.connections] == ["four-way"]
    assert "lo" in [one.name for one in found.captures[0].about.interfaces]


def test_several_interfaces_are_watched_at_once() -> None:
    needs_private_world()
    _, out, err = in_private_world(during_talk_with_a_second_interface, ["-i", "left", "-i", "lo", "--count", "9"])
    assert "TIME-WAIT" in out
    assert "left,lo: 9 segments seen, 0 frames dropped" in err


def during_segments_from_one_interface_to_the_other(arguments: Sequence[str]) -> tuple[int, str, str]:
    """A handshake that leaves at one interface, arrives at the other, and is of nobody here: twice in the capture."""
    pair_of_interfaces("left", "right")
    there, back = ({"src": "192.0.2.1", "dst": "192.0.2.2"}, {"src": "192.0.2.2", "dst": "192.0.2.1"})
    segments = [
        IP(**there) / TCP(sport=40000, dport=80, flags="S", seq=100),
        IP(**back) / TCP(sport=80, dport=40000, flags="SA", seq=500, ack=101),
        IP(**there) / TCP(sport=40000, dport=80, flags="A", seq=101, ack=501),
    ]

    def send(_: int) -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as left:
            left.bind(("left", 0))
            for segment in segments:
                left.send(bytes(Ether() / segment))

    return sniffed(arguments, send)


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_count_counts_segments_captured_twice_twice(quiet: list[str], tmp_path: Path) -> None:
    needs_private_world()
    kept = tmp_path / "kept.pcapng"
    arguments = ["-i", "any", "--count", "4", *quiet, "-w", str(kept)]
    code, out, err = in_private_world(during_segments_from_one_interface_to_the_other, arguments)
    assert (code, len(re.findall(r"^[\d:.]+ +0 ", out, re.MULTILINE))) == (0, 0 if quiet else 2)
    assert "any: 4 segments seen, 0 frames dropped" in err
    assert inspect(kept).captures[0].frames == 4


def test_a_rotation_makes_whole_files_and_keeps_the_last(tmp_path: Path) -> None:
    needs_private_world()
    target = tmp_path / "kept.pcapng"
    _, _, err = in_private_world(during_talk, ["-w", str(target), "--rotate", "600B", "--files", "2"])
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    assert all(re.fullmatch(r"kept_\d{5}_\d{14}\.pcapng", file.name) for file in files)
    assert all(inspect(file).captures[0].frames for file in files)
    kept = sum(inspect(file).captures[0].frames for file in files)
    begun = int(files[-1].name.split("_")[1])
    assert begun > 2
    said = f"the last 2 of {begun} files are kept, with {kept} of 9 frames"
    assert f"{files[0]} … {files[-1].name}: {said}" in err


def received_by_loopback() -> int:
    """Return how many packets `lo` of this network has received, all of which a capture there must tell of."""
    line = next(line for line in Path("/proc/self/net/dev").read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.split()[2])


def stopped_during_bursts(arguments: Sequence[str]) -> tuple[int, str]:
    """Make a burst while the process may not read; return how many packets there were, and what it said."""
    sent = 0

    def make_burst(pid: int) -> None:
        nonlocal sent
        os.kill(pid, signal.SIGSTOP)
        before = received_by_loopback()
        burst(2000)
        while (so_far := received_by_loopback() - before) != sent:  # the last ACKs may be delayed (200 ms at most)
            sent = so_far
            time.sleep(0.25)
        os.kill(pid, signal.SIGCONT)

    _, _, err = sniffed(arguments, make_burst)
    return sent, err


def test_what_is_lost_is_told_exactly() -> None:
    needs_private_world()
    sent, err = in_private_world(stopped_during_bursts, ["--quiet", "--buffer", "1MiB"])
    found = re.search(r"lo: (\d+) segments seen (\d+) frames dropped", err.replace(",", ""))
    assert found, err
    seen, dropped = map(int, found.groups())
    assert dropped > 0
    assert seen + dropped == sent


def during_talk_with_a_full_disk(arguments: Sequence[str]) -> tuple[int, str, str]:
    """Let the process write no file beyond so many octets: that is how a full disk looks to it."""

    def limited(pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1100, 1100))
        talk()

    return sniffed(arguments, limited)


def test_a_file_that_cannot_be_written_any_more_ends_it_with_what_was_found(tmp_path: Path) -> None:
    needs_private_world()
    kept = tmp_path / "kept.pcapng"
    code, out, err = in_private_world(during_talk_with_a_full_disk, ["--duration", "9", "-w", str(kept)])
    assert code == 2
    assert f"Error: {kept}: cannot be written: File too large; what was saved before can be read" in err
    assert "three-way" in out
    assert inspect(kept).captures[0].frames > 0


def test_many_connections_are_counted_by_kind() -> None:
    needs_private_world()
    _, out, _ = in_private_world(sniffed, ["--quiet"], lambda _: burst(150))
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["connections", "handshake", "teardown"]
    assert sum(int(line[0].replace(",", "")) for line in lines[1:]) == 150
    assert {line[1] for line in lines[1:]} == {"three-way"}


def test_a_burst_of_20_000_connections_loses_nothing(tmp_path: Path) -> None:
    """With the defaults: everything is printed that can be, and everything is saved."""
    needs_private_world()
    kept = tmp_path / "kept.pcapng"
    done = run("sniff", "-w", str(kept), "--", sys.executable, "-m", "tests.lab.bursts")
    assert done.returncode == 0, done.stderr
    found = re.search(r"^lo: ([\d,]+) segments seen, [\d,]+ of them too fast .*, 0 frames dropped$", done.stderr, re.M)
    assert found, done.stderr
    assert int(found[1].replace(",", "")) >= 10 * CONNECTIONS
    assert f"{kept}: {found[1]} frames saved" in done.stderr
    kinds = done.stdout.rpartition("connections  handshake")[2].splitlines()[1:]
    assert sum(int(line.split()[0].replace(",", "")) for line in kinds) == CONNECTIONS
    assert {line.split()[1] for line in kinds} == {"three-way"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rotate", "1MB"], "--rotate needs -w FILE"),
        (["-w", "x.pcapng", "--files", "3"], "--files needs --rotate"),
        (["-w", "x.pcapng", "--rotate", "600"], "'600' is neither a size (100MB) nor a span of time"),
        (["-w", "-"], "-w - would mix frames with what is printed"),
        (["--strace"], "--strace needs a COMMAND"),
        (["-i", "lo", "--", "true"], "-i is not for a COMMAND"),
        (["--buffer", "plenty"], "is no size; write 64MB"),
        (["--buffer", "100GB"], "'100GB' is more than 4GiB, the largest there is"),
        (["--buffer", "1"], "'1' is less than 1MiB, the smallest there is"),
        (["--profile", "amiga"], "is none of linux, rfc"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], said: str) -> None:
    done = run("sniff", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_capture_is_no_command_and_read_is_named(tmp_path: Path) -> None:
    capture = tmp_path / "my day.pcap"
    capture.write_bytes((REPOSITORY / "pcaps" / "reset.pcap").read_bytes())
    done = run("sniff", str(capture))
    assert done.returncode == 126
    assert done.stderr == f"Error: {capture} is a capture, no command: handshake-inspect read '{capture}'\n"


def test_without_the_right_it_says_what_to_do() -> None:
    needs_root("only root can become somebody without rights")

    def attempt() -> int:
        from click.testing import CliRunner

        from handshake_inspect.cli import cli

        return CliRunner().invoke(cli, ["sniff"]).exit_code

    import handshake_inspect.cli.listening
    import handshake_inspect.cli.sniff
    import handshake_inspect.cli.watched_command  # noqa: F401 - an ordinary user may not read the files later

    assert as_ordinary_user(attempt) == 2


def test_a_command_is_watched_in_a_network_of_its_own(tmp_path: Path) -> None:
    needs_private_world()
    kept = tmp_path / "kept.pcapng"
    done = run("sniff", "-w", str(kept), "--", sys.executable, "-c", TALK)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len([line for line in lines if "seq=" in line]) == SEGMENTS
    assert "four-way" in lines[-1]
    assert f"{kept}: 9 frames saved" in done.stderr
    assert [one.teardown.kind for one in inspect(kept).connections] == ["four-way"]


BULK = """import socket, threading
server = socket.create_server(("127.0.0.1", 8123))
client = socket.create_connection(("127.0.0.1", 8123))
taken = server.accept()[0].makefile("rb")
threading.Thread(target=client.sendall, args=(bytes(2_000_000),)).start()
taken.read(2_000_000)
client.close()
"""


@pytest.mark.parametrize("is_saved", [False, True])
def test_of_large_frames_as_much_is_captured_as_is_needed(is_saved: bool, tmp_path: Path) -> None:
    """All of them where they are saved; else a ring of the same memory holds many more of them."""
    needs_private_world()
    kept = tmp_path / "kept.pcapng"
    done = run("sniff", *(["-w", str(kept)] if is_saved else []), "--", sys.executable, "-c", BULK)
    assert "0 frames dropped" in done.stderr
    octets = re.search(r"([\d,]+) / 0 ", done.stdout)
    assert octets is not None
    assert int(octets[1].replace(",", "")) >= 2_000_000, "what was sent again on a busy machine counts too"
    assert not is_saved or kept.stat().st_size > 2_000_000


@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
def test_so_much_of_each_frame_is_saved_and_said_there_and_here(suffix: str, tmp_path: Path) -> None:
    needs_private_world()
    kept = tmp_path / f"kept.{suffix}"
    done = run("sniff", "-q", "--snap", "100", "-w", str(kept), "--", sys.executable, "-c", BULK)
    said = re.search(rf"^{kept}: (\d+) frames saved, (\d+) of them cut to 100 octets$", done.stderr, re.M)
    assert said is not None
    inspection = inspect(kept)
    assert inspection.captures[0].frames == int(said[1]) > int(said[2]) > 0
    assert inspection.connections[0].octets.originator >= 2_000_000, "the header of a frame tells how long it was"
    snaplen_at = 16 if suffix == "pcap" else kept.read_bytes().index(b"\x01\0\0\0", 28) + 12
    assert kept.read_bytes()[snaplen_at : snaplen_at + 4] == (100).to_bytes(4, "little")


@pytest.mark.parametrize("is_saved", [False, True])
def test_unless_told_all_of_a_frame_is_saved_and_its_headers_are_looked_at(
    is_saved: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr("handshake_inspect.cli.listening.listen", lambda *args, **_: asked.update(args[4]) or 0)
    arguments = ["-q", *(["-w", str(tmp_path / "x.pcap")] if is_saved else [])]
    assert command.main(arguments, standalone_mode=False) == 0
    assert asked["frame_octets"] == (262_144 if is_saved else 4096)


@pytest.mark.parametrize(("status", "expected"), [(0, 2), (7, 7)])
def test_a_command_goes_on_where_what_is_seen_cannot_be_saved(status: int, expected: int, tmp_path: Path) -> None:
    needs_private_world()
    kept = tmp_path / "kept.pcapng"
    done = subprocess.run(
        [sys.executable, "-m", "handshake_inspect", "sniff", "-w", str(kept), "--", sys.executable, "-c",
         f"{TALK}raise SystemExit({status})"],
        capture_output=True, text=True, cwd=REPOSITORY, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300)),
    )  # fmt: skip
    assert done.returncode == expected, done.stderr
    assert len([line for line in done.stdout.splitlines() if "seq=" in line]) == SEGMENTS
    assert "four-way" in done.stdout.splitlines()[-1]
    assert f"Error: {kept}: cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("program", "status", "said"),
    [
        (["sh", "-c", "exit 7"], 7, "sh ended with exit status 7"),
        (["sh", "-c", "kill -TERM $$"], 143, "sh was ended by SIGTERM"),
        (["/no/such/program"], 127, "Error: /no/such/program: there is no such command"),
        (["lo"], 127, "there is no such command in the folders of PATH; to watch that interface: sniff -i lo"),
    ],
)
def test_the_exit_status_is_the_commands(program: list[str], status: int, said: str) -> None:
    needs_private_world()
    done = run("sniff", "--", *program)
    assert done.returncode == status, done.stderr
    assert said in done.stderr


def test_options_behind_the_command_are_the_commands() -> None:
    needs_private_world()
    done = run("sniff", "--", "sh", "-c", 'echo "$0 $1"', "-q", "--count")
    assert done.stdout == "-q --count\n"


def test_a_command_is_traced() -> None:
    needs_private_world()
    done = run("sniff", "--strace", "--", sys.executable, "-c", TALK)
    if done.returncode == 2 and "strace" in done.stderr and "CI" not in os.environ:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    for word in ("connect(127.0.0.1:8123) = 0", "accept() = 127.0.0.1:", "recv(9) = b'bith'", "Closing    four-way"):
        assert word in done.stdout, done.stdout
    assert "stream  originator" not in done.stdout
    asked = "socket.socket(type=socket.SOCK_DGRAM).sendto(b'bith', ('127.0.0.1', 8124))"
    done = run("sniff", "--strace", "--udp", "--", sys.executable, "-c", f"{TALK}{asked}")
    assert re.search(r"\n\nudp  originator .*\n  0  127.0.0.1:\d+ → 127.0.0.1:8124 .* port unreachable$", done.stdout)
    assert "segments and 1 datagram seen, 0 frames dropped" in done.stderr


def as_its_only_reader(arguments: Sequence[str]) -> int:
    """Read the lines of a session, and go away. Nothing more comes: it needs no other segment to notice."""
    process = subprocess.Popen(
        [sys.executable, "-m", "handshake_inspect", "sniff", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY, env=without_columns(),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stderr.readline()
    talk()
    assert all("127.0.0.1:8123" in process.stdout.readline() for _ in range(SEGMENTS))
    process.stdout.close()
    code = process.wait(20)
    assert process.stderr.read() == ""
    return code


def test_whoever_reads_a_pipe_gets_lines_at_once_and_may_go() -> None:
    needs_private_world()
    assert in_private_world(as_its_only_reader, ["--port", "8123"]) == 0
