from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from handshake_inspect.lab.calls import End, SocketCall
from handshake_inspect.lab.echo import EchoPlan, ask_tcp, serve_tcp
from handshake_inspect.lab.ground import RunOptions
from handshake_inspect.lab.programs import run_programs
from handshake_inspect.lab.record import closing_of
from handshake_inspect.lab.scenarios import SCENARIOS
from handshake_inspect.lab.scenarios.scenario import Programs, Scenario
from handshake_inspect.lab.segments import transport_of
from handshake_inspect.lab.session import Session, run_demo, run_session
from handshake_inspect.lab.world import LabError, in_child, in_private_world
from tests.lab.privileges import as_ordinary_user, children, forbid_namespaces, needs_private_world, needs_root
from tests.lab.programs_by_hand import REPOSITORY

SYN, SYN_ACK, FIN, ACK = 0x02, 0x12, 0x01, 0x10


@pytest.fixture(autouse=True)
def private_world() -> None:
    needs_private_world()


class Segment:
    """One frame of a TCP session, as far as these tests look at it."""

    def __init__(self, octets: bytes, server_port: int) -> None:
        _, header = transport_of(octets) or (0, b"")
        source, _, self.seq, self.ack, offset, self.flags = struct.unpack_from("!HHIIBB", header)
        self.payload = header[(offset >> 4) * 4 :]
        self.sender: End = "server" if source == server_port else "client"


def segments(session: Session) -> list[Segment]:
    return [Segment(frame.octets, session.server[1]) for frame in session.frames]


def calls_of(session: Session, end: End) -> list[str]:
    return [str(call) for call in session.calls if call.end == end]


def planned(name: str, plan: EchoPlan) -> Scenario:
    """A scenario of two programs with another plan, of which nothing is promised."""
    scenario = SCENARIOS[name]
    assert isinstance(scenario.performance, Programs)
    return replace(scenario, performance=replace(scenario.performance, plan=plan), outcomes=None, closing=None)


def call_named(session: Session, end: End, text: str) -> SocketCall:
    (call,) = [call for call in session.calls if call.end == end and str(call).startswith(text)]
    return call


@pytest.mark.parametrize("close_first", ["client", "server"])
@pytest.mark.parametrize(
    ("half_close", "pause_s", "closing"),
    [
        (False, 0.3, ("FIN,ACK", "ACK", "FIN,ACK", "ACK")),
        (False, 0.0, ("FIN,ACK", "FIN,ACK", "ACK")),
        (True, 0.3, ("FIN,ACK", "ACK", "PSH,ACK", "ACK", "FIN,ACK", "ACK")),
    ],
)
def test_the_closing_has_the_shape_that_was_asked_for(
    close_first: End, half_close: bool, pause_s: float, closing: tuple[str, ...]
) -> None:
    session = run_demo(close_first=close_first, half_close=half_close, pause_s=pause_s)
    assert session.dropped == 0
    assert closing_of(session) == closing
    fins = [segment for segment in segments(session) if segment.flags & FIN]
    assert [fin.sender for fin in fins] == [close_first, "server" if close_first == "client" else "client"]


def test_what_is_sent_comes_back_in_upper_case() -> None:
    session = run_demo("three-segment", message=b"gr\xff\xbcezi")
    sent = [(segment.sender, segment.payload) for segment in segments(session) if segment.payload]
    assert sent == [("client", b"gr\xff\xbcezi"), ("server", b"GR\xff\xbcEZI")]


def test_a_long_message_is_shortened_in_the_calls_only() -> None:
    message = b"0123456789abcdef" * 1250
    session = run_demo("three-segment", message=message)
    echoed = b"".join(segment.payload for segment in segments(session) if segment.sender == "server")
    assert echoed == message.upper()
    assert "send(b'0123456789abcdef'… 20000 octets) = 20000" in calls_of(session, "client")


def test_every_socket_call_is_there_in_order() -> None:
    session = run_demo("half-close")
    host, port = session.server
    client_port = struct.unpack_from("!H", session.frames[0].octets, 34)[0]
    assert calls_of(session, "client") == [
        f"connect({host}:{port}) = 0",
        "send(b'bith') = 4",
        "recv(1024) = b'BITH'",
        "shutdown(SHUT_WR) = 0",
        "recv(1024) = b'4 OCTETS IN ALL'",
        "recv(1024) = b''",
        "close() = 0",
    ]
    assert calls_of(session, "server") == [
        f"bind({host}:0) = 0",
        "listen(5) = 0",
        f"accept() = {host}:{client_port}",
        "recv(1024) = b'bith'",
        "send(b'BITH') = 4",
        "recv(1024) = b''",
        "send(b'4 OCTETS IN ALL') = 15",
        "close() = 0",
        "close(listener) = 0",
    ]


def test_calls_and_frames_are_on_one_clock() -> None:
    session = run_demo("three-segment")
    syn, syn_ack, third = (frame.time_ns for frame in session.frames[:3])
    connect = call_named(session, "client", "connect")
    assert connect.entered_ns < syn < syn_ack < third < connect.returned_ns
    accept = call_named(session, "server", "accept")
    assert accept.entered_ns < syn < third < accept.returned_ns
    fin = next(i for i, segment in enumerate(segments(session)) if segment.flags & FIN)
    assert call_named(session, "client", "close").entered_ns < session.frames[fin].time_ns
    assert session.frames[fin].time_ns < call_named(session, "server", "recv(1024) = b''").returned_ns
    assert [call.entered_ns for call in session.calls] == sorted(call.entered_ns for call in session.calls)


def ten_sessions() -> list[Session]:
    return [run_session(SCENARIOS["three-segment"], RunOptions()) for _ in range(10)]


def test_ten_times_the_first_syn_is_there_and_each_segment_once() -> None:
    for session in in_private_world(ten_sessions):
        seen = segments(session)
        assert [segment.flags for segment in seen[:3]] == [SYN, SYN_ACK, ACK]
        keys = [(s.sender, s.seq, s.ack, s.flags, len(s.payload)) for s in seen]
        assert len(set(keys)) == len(keys)
        assert session.dropped == 0
        # The books: every number between SYN and FIN is the message, once.
        for end in ("client", "server"):
            first = next(s for s in seen if s.sender == end)
            fin = next(s for s in seen if s.sender == end and s.flags & FIN)
            octets = sum(len(s.payload) for s in seen if s.sender == end)
            assert fin.seq == (first.seq + 1 + octets) % 2**32
            assert octets == 4


def test_the_echo_runs_over_ipv6() -> None:
    session = run_demo("ipv6", pause_s=0.0)
    assert session.server[0] == "::1"
    assert closing_of(session) == ("FIN,ACK", "FIN,ACK", "ACK")
    assert calls_of(session, "client")[0] == f"connect([::1]:{session.server[1]}) = 0"


def test_the_port_can_be_chosen_even_below_1024() -> None:
    session = run_demo("three-segment", port=7)
    assert session.server == ("127.0.0.1", 7)
    assert calls_of(session, "server")[:2] == ["setsockopt(SO_REUSEADDR, 1) = 0", "bind(127.0.0.1:7) = 0"]


@pytest.mark.parametrize(
    ("name", "end", "call"),
    [
        ("refused", "client", "connect({address}) = ECONNREFUSED"),
        ("reset", "client", "setsockopt(SO_LINGER, on, 0 s) = 0"),
        ("reset", "server", "recv(1024) = ECONNRESET"),
        ("udp", "server", "sendto(b'BITH', {client}) = 4"),
        ("udp", "client", "recvfrom(65535) = b'BITH', {address}"),
        ("udp-unreachable", "client", "recv(1024) = ECONNREFUSED"),
    ],
)
def test_the_calls_of_the_other_scenarios(name: str, end: End, call: str) -> None:
    session = run_demo(name)
    client_port = struct.unpack_from("!H", session.frames[0].octets, 34)[0]
    address = f"127.0.0.1:{session.server[1]}"
    assert call.format(address=address, client=f"127.0.0.1:{client_port}") in calls_of(session, end)
    if SCENARIOS[name].closing is not None:
        assert closing_of(session) == SCENARIOS[name].closing


def test_an_unanswered_syn_is_repeated_and_given_up() -> None:
    session = run_demo(planned("unanswered", EchoPlan(timeout_s=1.3)))
    assert [segment.flags for segment in segments(session)] == [SYN, SYN]
    assert len({segment.seq for segment in segments(session)}) == 1
    assert session.frames[1].time_ns - session.frames[0].time_ns == pytest.approx(1.03e9, abs=0.2e9)
    connect = call_named(session, "client", "connect")
    assert connect.result == "timed out after 1.3 s"


def test_an_ordinary_user_can_run_it() -> None:
    session = as_ordinary_user(lambda: run_demo("three-segment"))
    assert session.place == "private"
    assert session.dropped == 0
    assert [segment.flags for segment in segments(session)][:3] == [SYN, SYN_ACK, ACK]
    assert closing_of(session) == ("FIN,ACK", "FIN,ACK", "ACK")


def test_it_runs_on_the_loopback_of_this_host_too() -> None:
    needs_root("capturing on this host's loopback needs root")
    session = run_demo("three-segment", place="host")
    assert session.place == "host"
    assert [segment.flags for segment in segments(session)][:3] == [SYN, SYN_ACK, ACK]
    assert closing_of(session) == ("FIN,ACK", "FIN,ACK", "ACK")


def test_whoever_may_not_capture_there_is_told_of_the_private_network() -> None:
    with pytest.raises(LabError, match=r"needs CAP_NET_RAW: run as root \(sudo\), or leave out --host"):
        as_ordinary_user(lambda: run_demo("three-segment", place="host"))


def run_where_namespaces_are_forbidden() -> Session:
    forbid_namespaces()
    return run_demo("three-segment")


def test_where_a_private_network_is_forbidden_root_uses_the_loopback_of_this_host() -> None:
    needs_root("capturing on this host's loopback needs root")
    assert in_child(run_where_namespaces_are_forbidden).place == "host"


def test_where_nothing_is_possible_one_line_says_why_and_what_to_do() -> None:
    with pytest.raises(LabError, match=r"seccomp.*--cap-add NET_RAW.*; and on .*loopback: .* run as root") as said:
        as_ordinary_user(run_where_namespaces_are_forbidden)
    assert "\n" not in str(said.value)


def session_on_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 4000)):
        run_session(planned("four-way", EchoPlan(port=4000)), RunOptions())


def test_what_cannot_be_done_is_said_in_one_line() -> None:
    with pytest.raises(LabError, match=r"^fourway: no such scenario; `lab list` shows them\. Did you mean four-way\?$"):
        run_demo("fourway")
    with pytest.raises(LabError, match=r"^the message must have 1 to 32,768 octets, not 0$"):
        run_demo(message=b"")
    with pytest.raises(LabError, match=r"^the port must be 0 to 65535, not 70000$"):
        run_demo(port=70000)
    with pytest.raises(LabError, match=r"could not start: bind\(127.0.0.1:4000\) = EADDRINUSE \(the port is taken"):
        in_private_world(session_on_taken_port)


def broken_program(plan: EchoPlan, stage: object) -> None:
    raise ZeroDivisionError("by design")


def sleepy_program(plan: EchoPlan, stage: object) -> None:
    time.sleep(60)


def test_programs_that_fail_or_hang_are_ended_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handshake_inspect.lab.programs.GRACE_S", 0.2)
    before = children()
    plan = EchoPlan(timeout_s=0.1, pause_s=0)
    with pytest.raises(LabError, match="the server could not start: ZeroDivisionError: by design"):
        run_programs(broken_program, ask_tcp, plan)
    with pytest.raises(LabError, match="did not end in time"):
        run_programs(sleepy_program, ask_tcp, plan)
    with pytest.raises(LabError, match="an echo program failed: TypeError"):
        run_programs(serve_tcp, broken_program, plan)  # type: ignore[arg-type]
    assert children() == before


def left_of_group(group: int) -> list[str]:
    """The processes of a group that have not ended."""
    left = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, _, its_group = stat.read_text().rsplit(")", 1)[1].split()[:3]
            if int(its_group) == group and state != "Z":
                left.append(stat.parent.name)
    return left


@pytest.mark.parametrize(("command", "code"), [(["demo"], 0), (["lab", "run"], 130)])
def test_ctrl_c_shows_what_was_captured_of_a_session_so_far(command: list[str], code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "handshake_inspect", *command, "unanswered"], cwd=REPOSITORY,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True,
    ) as demo:  # fmt: skip
        deadline = time.monotonic() + 20
        while len(left_of_group(demo.pid)) == 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(2)
        os.killpg(demo.pid, signal.SIGINT)
        out, err = demo.communicate(timeout=20)
    assert demo.returncode == code, err
    assert re.fullmatch(r"interrupted before the session had ended: this is what the first \d+ frames? show\n", err)
    assert "SYN-SENT" in out
    assert "FIN" not in out.partition("Opening")[0], "not what the interruption closed"
    assert not left_of_group(demo.pid)


def test_ctrl_c_ends_everything_that_was_started() -> None:
    program = "from handshake_inspect.lab.session import run_demo; print('on', flush=True); run_demo('unanswered')"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as demo:
        assert demo.stdout is not None
        demo.stdout.readline()
        time.sleep(0.6)
        os.killpg(demo.pid, signal.SIGINT)
        _, errors = demo.communicate(timeout=60)
    assert errors.count("Traceback") == 1  # that of the program above, which does not catch KeyboardInterrupt
    assert not left_of_group(demo.pid)
