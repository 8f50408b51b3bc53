"""The echo programs by hand: real processes and real sockets, in a network of their own."""

from __future__ import annotations

import re
import signal
import socket
import struct
import time
from pathlib import Path

import pytest

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import RawFrame, records_of
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.lab.by_hand.echo_plans import internet_place, split_place, unix_place
from handshake_inspect.lab.by_hand.meanings import explained
from handshake_inspect.lab.calls import CallError
from handshake_inspect.lab.vantage import raw_frames
from handshake_inspect.lab.world import LabError, in_private_world
from tests.lab.privileges import needs_private_world
from tests.lab.programs_by_hand import Ended, Program, run_program


@pytest.fixture(autouse=True)
def private_world() -> None:
    needs_private_world()


def session(server: list[str], client: list[str], typed: str = "") -> tuple[Ended, Ended, list[RawFrame]]:
    """Run a server that ends by itself and one client, and capture what is on the wire."""
    frames: list[RawFrame] = []
    with LiveCapture("lo") as capture, Program("serve", *server) as running:
        address = running.address()
        asked = run_program("connect", *client, *([] if "--unix" in client else [address]), typed=typed)
        served = running.end()
        time.sleep(0.05)
        for block in capture.drain():
            frames.extend(raw_frames(block))
    return served, asked, frames


def inspected(frames: list[RawFrame]) -> Inspection:
    inspector = Inspector()
    inspector.add_records(records_of(frames), inspector.begin_capture("lo", "live"))
    return inspector.result()


# --- TCP -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "client", "handshake", "teardowns", "closed_first"),
    [
        ([], [], "three-way", "three-segment four-way", "originator"),  # whether 40 ms suffice is the machine's affair
        (["--delay", "0.3"], [], "three-way", "four-way", "originator"),
        (["--close-first"], ["--close-second"], "three-way", "three-segment four-way", "responder"),
        (["--half-close"], ["--half-close"], "three-way", "four-way", "originator"),
        (["--close-first", "--half-close"], ["--close-second", "--delay", "0.3"], "three-way", "four-way", "responder"),
        ([], ["--linger", "0"], "three-way", "aborted", None),
        (["--close-first", "--linger", "0"], ["--close-second"], "three-way", "aborted", None),
        (["--linger", "0"], ["--half-close"], "three-way", "reset-after-fin", "originator"),
        (["--ipv6"], [], "three-way", "three-segment four-way", "originator"),
    ],
)
def test_the_capture_shows_what_was_asked_of_the_programs(
    server: list[str], client: list[str], handshake: str, teardowns: str, closed_first: str | None
) -> None:
    served, asked, frames = in_private_world(session, ["--clients", "1", *server], [*client, "--message", "bith"])
    assert asked.out.splitlines()[0] == "BITH"
    (connection,) = inspected(frames).connections
    assert connection.handshake.kind == handshake
    assert connection.teardown.kind in teardowns.split()
    assert connection.teardown.closed_first == closed_first
    assert served.code == 0
    assert served.out == "1 client served, 4 octets echoed\n"
    assert asked.code == (2 if "--linger" in server else 0)  # reset by the server


def test_every_call_is_printed_with_what_it_returned() -> None:
    served, asked, _ = in_private_world(session, ["--clients", "1", "--port", "7"], ["--message", "bith"])
    assert asked.calls == ["connect(127.0.0.1:7) = 0", "send(b'bith') = 4", "recv(1024) = b'BITH'", "close() = 0"]
    accept = served.calls[3]
    assert re.fullmatch(r"accept\(\) = 127\.0\.0\.1:\d+", accept)
    assert served.calls == [
        "setsockopt(SO_REUSEADDR, 1) = 0", "bind(127.0.0.1:7) = 0", "listen(5) = 0", accept, "recv(1024) = b'bith'",
        "send(b'BITH') = 4", "recv(1024) = b''", "close() = 0", "close(listener) = 0",
    ]  # fmt: skip
    assert "└ the client has closed its sending direction: its FIN is here" in served.err
    assert "in another terminal: handshake-inspect echo connect 127.0.0.1:7" in served.err


def test_a_half_close_leaves_the_server_the_last_word() -> None:
    _, asked, _ = in_private_world(session, ["--clients", "1", "--half-close"], ["--half-close", "--message", "bith"])
    assert asked.out == "BITH\n4 OCTETS IN ALL\n"
    assert "└ our sending direction is closed: we say no more, and still listen" in asked.err


def test_lines_of_a_pipe_are_said_one_by_one_and_quiet_leaves_only_the_echo() -> None:
    _, asked, _ = in_private_world(session, ["--clients", "1", "--plain"], ["--quiet"], "one\n\ngrüezi\r\nlast")
    assert (asked.out, asked.err) == ("one\ngrüezi\nlast\n", "")


def clients_that_misbehave() -> tuple[Ended, list[bytes]]:
    """One client resets, one leaves without a word, two talk at once."""
    with Program("serve", "--clients", "4", "--timeout", "5") as server:
        host, port = split_place(server.address())
        with socket.create_connection((host, port)) as rude:
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
        socket.create_connection((host, port)).close()
        with socket.create_connection((host, port)) as first, socket.create_connection((host, port)) as second:
            second.sendall(b"second")
            heard = [second.recv(100)]
            first.sendall(b"first")
            heard.append(first.recv(100))
        return server.end(), heard


def test_the_server_outlives_clients_that_reset_or_leave_and_serves_several_at_once() -> None:
    served, heard = in_private_world(clients_that_misbehave)
    assert heard == [b"SECOND", b"FIRST"]
    assert served.code == 0
    assert "ECONNRESET" in served.err
    assert "└ reset: an RST has come" in served.err
    assert served.out == "4 clients served, 11 octets echoed\n"


def test_a_server_that_cannot_close_its_direction_any_more_says_that_an_rst_has_come() -> None:
    server, client = ["--clients", "1", "--close-first", "--half-close"], ["--message", "bith", "--linger", "0"]
    served, _, _ = in_private_world(session, server, client)
    assert "shutdown(SHUT_WR) = ENOTCONN" in served.err
    assert "└ reset: an RST has come: there is no connection any more" in served.err


def clients_in_turn() -> list[str]:
    """The second client of a server that serves one at a time is accepted when the first has left."""
    told = []
    with Program("serve", "--one-at-a-time", "--clients", "2") as server:
        host, port = split_place(server.address())
        with socket.create_connection((host, port)) as first, socket.create_connection((host, port)) as second:
            second.settimeout(0.3)
            second.sendall(b"second")
            try:
                second.recv(100)
            except TimeoutError:
                told.append("second waits")
            first.close()
            second.settimeout(5)
            told.append(second.recv(100).decode())
        server.end()
    return told


def test_one_at_a_time_lets_the_second_wait_in_the_accept_queue() -> None:
    assert in_private_world(clients_in_turn) == ["second waits", "SECOND"]


def silent_client() -> Ended:
    with Program("serve", "--timeout", "0.2", "--clients", "1") as server:
        with socket.create_connection(split_place(server.address())) as silent:
            assert silent.recv(10) == b""
        return server.end()


def test_a_silent_client_is_left_after_the_timeout() -> None:
    said = in_private_world(silent_client).err
    assert "recv(1024) = timed out after 0.2 s" in said
    assert "└ the client says nothing and does not close: it is left" in said


def both_wait_for_the_other() -> tuple[Ended, Ended]:
    with Program("serve") as server:
        arguments = ["--message", "x", "--close-second", "--timeout", "0.3"]
        return run_program("connect", server.address(), *arguments), server.end(signal.SIGINT)


def test_two_programs_that_wait_for_each_other_are_told_how_one_closes_first() -> None:
    asked, served = in_private_world(both_wait_for_the_other)
    assert (asked.code, asked.out) == (2, "X\n")
    assert asked.err.splitlines()[-1].startswith("Error: recv(1024) = timed out after 0.3 s: the server does not close")
    assert "--close-first" in asked.err.splitlines()[-1]
    assert "EINTR" in served.err
    assert "└ a signal, as Ctrl-C sends it: the call was interrupted, and the server ends" in served.err


def test_the_client_can_have_the_last_word() -> None:
    server = ["--clients", "1", "--close-first", "--half-close"]
    served, asked, _ = in_private_world(session, server, ["--close-second", "--half-close", "--message", "x"])
    assert "send(b'1 OCTET IN ALL') = 14" in asked.calls
    assert "recv(1024) = b'1 OCTET IN ALL'" in served.calls


def ended_by(number: signal.Signals, arguments: list[str]) -> Ended:
    with Program("serve", *arguments) as server:
        address = server.address()
        if "--unix" not in arguments:
            with socket.create_connection(split_place(address)) as client:
                client.sendall(b"x")
                client.recv(1)
                return server.end(number)
        return server.end(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_normally(number: signal.Signals) -> None:
    served = in_private_world(ended_by, number, [])
    assert served.code == 0
    assert served.out == "1 client served, 1 octet echoed; 1 still connected: the kernel closes for us\n"


def server_that_leaves() -> Ended:
    """The client waits for the next line while the server ends: it is told at once."""
    with Program("serve") as server, Program("connect", server.address()) as client:
        client.type("bith\n")
        assert client.line() == "BITH"
        server.end(signal.SIGINT)
        client.process.wait(5)
        return client.end()


def test_a_client_notices_that_the_server_has_closed_while_nobody_types() -> None:
    asked = in_private_world(server_that_leaves)
    assert asked.code == 0
    assert asked.calls[-2:] == ["recv(1024) = b''", "close() = 0"]


def twice_from_one_port() -> list[int]:
    with Program("serve", "--clients", "2") as server:
        address = server.address()
        codes = [run_program("connect", address, "--source-port", "5555", "--message", "x").code for _ in range(2)]
        server.end()
    return codes


def test_the_client_can_choose_its_port_even_if_it_is_in_time_wait() -> None:
    assert in_private_world(twice_from_one_port) == [0, 0]


# --- UDP and Unix ----------------------------------------------------------------------------------------------------


def test_udp_is_an_exchange_without_a_handshake() -> None:
    served, asked, frames = in_private_world(
        session, ["--udp", "--clients", "2"], ["--udp", "--message", "bith", "--message", ""]
    )
    assert asked.out == "BITH\n\n"
    assert served.out == "1 client served, 4 octets echoed\n"
    found = inspected(frames)
    assert not len(found.connections)
    (exchange,) = found.exchanges
    assert (exchange.datagrams.originator, exchange.datagrams.responder) == (2, 2)


def refused_datagram() -> tuple[Ended, list[RawFrame]]:
    with LiveCapture("lo") as capture:
        asked = run_program("connect", "--udp", "9", "--message", "x")
        time.sleep(0.05)
        return asked, [frame for block in capture.drain() for frame in raw_frames(block)]


def test_a_refused_datagram_is_told_by_icmp() -> None:
    asked, frames = in_private_world(refused_datagram)
    assert asked.code == 2
    last = asked.err.splitlines()[-1]
    assert last == (
        "Error: recv(65535) = ECONNREFUSED: refused: ICMP port unreachable came back: no socket has that port"
    )
    (exchange,) = inspected(frames).exchanges
    assert [message for _, message in exchange.errors] == ["port unreachable"]


def test_a_unix_socket_leaves_nothing_on_any_wire(tmp_path: Path) -> None:
    path = str(tmp_path / "echo.sock")
    served, asked, frames = in_private_world(
        session, ["--unix", path, "--clients", "1"], ["--unix", path, "--message", "bith"]
    )
    assert (asked.out, served.out) == ("BITH\n", "1 client served, 4 octets echoed\n")
    assert frames == []
    assert "nothing of this goes over any wire" in served.err
    assert "└ the client has closed its sending direction: the kernel says so, no FIN was sent" in served.err
    assert not Path(path).exists()


def test_a_left_over_unix_socket_is_replaced_and_a_living_one_or_a_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "echo.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    refused = run_program("connect", "--unix", str(path), "--message", "x")
    assert (refused.code, refused.err.splitlines()[-1].endswith("but no server listens at it any more")) == (2, True)
    with Program("serve", "--unix", str(path), "--clients", "1") as server:
        server.address()
        second = run_program("serve", "--unix", str(path))
        assert second.code == 2
        assert "EADDRINUSE: there is a file of that name" in second.err
        assert run_program("connect", "--unix", str(path), "--message", "x").out == "X\n"  # nobody was its client yet
        assert server.process.wait(5) == 0
        assert "1 client served" in server.end().out
    path.write_text("precious")
    assert run_program("serve", "--unix", str(path)).code == 2
    assert path.read_text() == "precious"
    assert run_program("connect", "--unix", str(path)).err.endswith(
        "ECONNREFUSED: that file is no socket: `echo serve --unix` makes one\n"
    )


# --- what is asked wrongly -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "found"),
    [("8000", ("", 8000)), (":8000", ("", 8000)), ("localhost:1", ("localhost", 1)), ("[::1]:65535", ("::1", 65535))],
)
def test_a_place_is_a_host_and_a_port(place: str, found: tuple[str, int]) -> None:
    assert split_place(place) == found


@pytest.mark.parametrize("place", ["", "host", "host:", "host:65536", "::1:80", "1.2.3.4:-1", "1.2.3.4:８０"])
def test_what_is_no_place_is_refused_in_one_line(place: str) -> None:
    with pytest.raises(LabError, match=r"^[^\n]*: (expected HOST:PORT|an IPv6 address needs brackets)[^\n]*$"):
        split_place(place)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("[::1]", "the port is missing: [::1]:8000"),
        ("::1", "an IPv6 address needs brackets before its port: [::1]:PORT"),
        ("fe80::1:80", "an IPv6 address needs brackets before its port: [fe80::1:80]:PORT or [fe80::1]:80"),
        ("a:b:c", "an IPv6 address needs brackets before its port: [::1]:8000"),
    ],
)
def test_what_was_meant_by_a_wrong_place_is_offered(place: str, says: str) -> None:
    with pytest.raises(LabError) as said:
        split_place(place)
    assert str(said.value) == f"{place}: {says}"


def test_hosts_and_paths_that_cannot_be() -> None:
    with pytest.raises(LabError, match=r"^127\.0\.0\.1: it is no IPv6 address$"):
        internet_place("127.0.0.1", 1, udp=False, ipv6=True)
    with pytest.raises(LabError, match=r"^a\.\.b: "):
        internet_place("a..b", 1, udp=False)
    with pytest.raises(LabError, match="107 octets"):
        unix_place("x" * 108)
    assert str(internet_place("::1", 80, udp=True)) == "[::1]:80"


def test_an_error_without_a_meaning_speaks_for_itself() -> None:
    assert explained(CallError("recv(1)", "EBADF"), "tcp") == "recv(1) = EBADF"
    assert explained(CallError("bind(x:80)", "EACCES"), "udp").endswith(": ports below 1024 need root: choose another")
    assert explained(CallError("bind(x.sock)", "EACCES"), "unix").endswith(": the permissions of that path forbid it")
    assert explained(CallError("connect(x)", "timed out after 1 s"), "tcp").startswith(
        "connect(x) = timed out after 1 s: no SYN-ACK, no RST, no ICMP error"
    )
