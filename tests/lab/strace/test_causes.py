"""What a call waited for, and what it sent: of an echo session whose log says too early when its calls returned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.lab.strace.beside import attribute
from handshake_inspect.lab.strace.causes import Segments
from handshake_inspect.lab.strace.lines import read_lines
from handshake_inspect.lab.strace.sockets import TracedSocket, sockets_of
from tests.views.sessions import BEGIN_NS, four_way, four_way_story

MS = 1_000_000


def at(milliseconds: int) -> int:
    return BEGIN_NS + milliseconds * MS


#: SYN at 38 ms, SYN-ACK 49, ACK 58, "bith" 120, its echo 170, FIN 391, the other FIN 161353.
STEPS = [replace(step, time_ns=at((step.time_ns - BEGIN_NS) // 1000)) for step in four_way_story().steps]
ECHOED = replace(four_way(), first_ns=STEPS[0].time_ns, last_ns=STEPS[-1].time_ns)
SERVER = '{sa_family=AF_INET, sin_port=htons(8000), sin_addr=inet_addr("127.0.0.1")}'
CLIENT = '{sa_family=AF_INET, sin_port=htons(54668), sin_addr=inet_addr("127.0.0.1")}'

#: Times are milliseconds. strace let each call begin long after it had noted the time.
CLIENTS = f"""
7 000005 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3 <0.000002>
7 000010 connect(3, {SERVER}, 16) = 0 <0.000001>
7 000100 sendto(3, "bith", 4, 0, NULL, 0) = 4 <0.000001>
7 000125 recvfrom(3, "bith", 1024, 0, NULL, NULL) = 4 <0.000001>
7 000380 close(3) = 0 <0.000001>
7 000420 exit_group(0) = ?
"""
SERVERS = f"""
8 000001 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 4 <0.000001>
8 000002 bind(4, {SERVER}, 16) = 0 <0.000001>
8 000003 listen(4, 5) = 0 <0.000001>
8 000004 accept4(4, {CLIENT}, [16], 0) = 5 <0.000001>
8 000060 recvfrom(5, "bith", 1024, 0, NULL, NULL) = 4 <0.000001>
8 000140 recvfrom(5, "", 1024, 0, NULL, NULL) = 0 <0.000001>
8 161300 close(5) = 0 <0.000001>
"""


def sockets(log: str) -> list[TracedSocket]:
    lines = []
    for line in log.strip().splitlines():
        pid, milliseconds, text = line.split(" ", 2)
        seconds, rest = divmod(int(milliseconds), 1000)
        lines.append(f"{pid} {BEGIN_NS // 10**9 + seconds}.{rest:03}000 {text}")
    found = read_lines(lines)
    assert not found.unread
    return sockets_of(found)


def returned(log: str, connection: Connection, steps: list[Step]) -> dict[str, int]:
    """Return when each call returned, in whole milliseconds."""
    calls = attribute(sockets(log), [connection]).calls_of(connection, steps)
    return {str(call): (call.returned_ns - BEGIN_NS) // MS for call in calls}


def test_a_client_waits_for_the_syn_ack_and_for_octets() -> None:
    found = returned(CLIENTS, ECHOED, STEPS)
    assert (found["connect(127.0.0.1:8000) = 0"], found["recv(1024) = b'bith'"]) == (49, 170)
    assert found["send(b'bith') = 4"] < 120  # what it sent may leave later


def test_a_server_waits_for_the_third_segment_for_octets_and_for_the_fin() -> None:
    found = returned(SERVERS, ECHOED, STEPS)
    assert found["accept() = 127.0.0.1:54668"] == 58
    assert (found["recv(1024) = b'bith'"], found["recv(1024) = b''"]) == (120, 391)


def test_octets_that_were_only_looked_at_come_once() -> None:
    log = CLIENTS.replace("7 000380", '7 000300 recvfrom(3, "bith", 9, MSG_PEEK, NULL, NULL) = 4 <0.000001>\n7 000380')
    log = log.replace('7 000125 recvfrom(3, "bith", 1024, 0', '7 000125 recvfrom(3, "bith", 9, MSG_PEEK')
    found = returned(log, ECHOED, STEPS)
    assert found["recv(9, MSG_PEEK) = b'bith'"] == 301


@pytest.mark.parametrize(
    ("result", "flags", "until_us"),
    [
        ("-1 ECONNREFUSED (Connection refused)", "RST,ACK", 49),
        ("-1 EINPROGRESS (Operation now in progress)", "SYN,ACK", 38),
        ("-1 ETIMEDOUT (Connection timed out)", "SYN,ACK", 11),
    ],
)
def test_a_connect_that_fails_waits_for_the_rst_and_one_that_does_not_wait_for_its_syn(
    result: str, flags: str, until_us: int
) -> None:
    log = CLIENTS.replace(") = 0 <0.000001>", f") = {result} <0.000001>", 1)
    steps = [STEPS[0], replace(STEPS[1], flags=flags)]
    (name,) = [result.split()[1]]
    assert returned(log, ECHOED, steps)[f"connect(127.0.0.1:8000) = {name}"] == until_us


def test_a_call_has_returned_when_its_thread_makes_the_next_one() -> None:
    """With TCP_FASTOPEN_CONNECT a connect() returns at once, and its SYN leaves with the first octets."""
    late = [replace(step, time_ns=step.time_ns + 1000 * MS) for step in STEPS]
    connection = replace(ECHOED, first_ns=late[0].time_ns)
    log = CLIENTS.replace("7 000125", "7 001200").replace("7 000380", "7 001390").replace("7 000420", "7 001420")
    log = log.replace("4, 0, NULL, 0) = 4 <0.000001>", "4, 0, NULL, 0) = 4 <1.070000>")
    assert returned(log, connection, late)["connect(127.0.0.1:8000) = 0"] == 100


def test_octets_of_which_the_syn_was_not_captured_are_not_counted() -> None:
    unknown = replace(ECHOED, initial_seq=replace(ECHOED.initial_seq, responder=None))
    assert returned(CLIENTS, unknown, STEPS)["recv(1024) = b'bith'"] < 170


def test_a_socket_fits_the_segments_of_its_own_connection_only() -> None:
    (socket,) = sockets(CLIENTS)

    def fits(steps: list[Step], connection: Connection) -> bool:
        return Segments(connection, steps, "originator").fit(socket)

    def moved(number: int, to_us: int) -> list[Step]:
        return [*STEPS[:number], replace(STEPS[number], time_ns=at(to_us)), *STEPS[number + 1 :]]

    assert fits(STEPS, ECHOED)
    assert not fits(moved(0, 9), ECHOED)  # a SYN before connect()
    assert not fits(moved(1, 102), ECHOED)  # a SYN-ACK after it had returned
    assert not fits(moved(3, 99), ECHOED)  # octets before they were sent
    assert not fits(moved(5, 382), ECHOED)  # octets that came after they were received
    assert not fits(moved(7, 379), ECHOED)  # a FIN before close()
    assert not fits(STEPS, replace(ECHOED, sent_octets=replace(ECHOED.sent_octets, originator=5)))
