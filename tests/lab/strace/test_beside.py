"""Whose a socket is where the log tells little: ports of clients, whom a server accepted, sockets used again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handshake_inspect.connections.connection import Connection, Endpoint
from handshake_inspect.lab.strace.beside import Attribution, attribute
from handshake_inspect.lab.strace.lines import read_lines
from handshake_inspect.lab.strace.sockets import sockets_of
from tests.views.sessions import four_way

SERVER = Endpoint("127.0.0.1", 8000)
S = 1_795_676_722_000_000_000


def connection(stream: int, port: int, first_us: int, last_us: int, server: Endpoint = SERVER) -> Connection:
    return replace(
        four_way(),
        stream=stream,
        originator=Endpoint("127.0.0.1", port),
        responder=server,
        first_ns=S + first_us * 1000,
        last_ns=S + last_us * 1000,
    )


def address(port: int) -> str:
    return f'{{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr("127.0.0.1")}}'


def beside(log: str, *connections: Connection) -> Attribution:
    """Attribute a log, whose times are microseconds of one second: `7 000100 close(3) = 0`."""
    lines = []
    for line in filter(str.strip, log.splitlines()):
        pid, microseconds, text = line.strip().split(" ", 2)
        lines.append(f"{pid} {S // 10**9}.{microseconds} {text}")
    found = read_lines(lines)
    assert not found.unread
    return attribute(sockets_of(found), connections)


def texts(found: Attribution, connection: Connection) -> list[str]:
    return [f"{call.end} {call.text} = {call.result}" for call in found.calls_of(connection)]


def client(pid: int, connect_us: int, returned_us: int) -> str:
    return f"""
        {pid} {connect_us - 10:06} socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
        {pid} {connect_us:06} connect(3, {address(8000)}, 16 <unfinished ...>
        {pid} {returned_us:06} <... connect resumed>) = 0
        """


def in_order(*parts: str) -> str:
    """Put the lines of several processes into the order of their times."""
    lines = [line.strip() for part in parts for line in part.strip().splitlines()]
    return "\n".join(sorted(lines, key=lambda line: line.split()[1]))


def test_a_client_whose_port_is_not_told_began_the_connection_whose_syn_left_meanwhile() -> None:
    first, second = connection(0, 40000, 120, 900), connection(1, 40002, 220, 900)
    found = beside(in_order(client(7, 100, 150), client(8, 200, 250)), first, second)
    assert found.guesses == 0
    assert [{call.local for call in found.calls_of(one)} for one in (first, second)] == [
        {"127.0.0.1:40000"},
        {"127.0.0.1:40002"},
    ]


def test_the_second_client_gets_what_the_first_leaves_where_it_could_have_been_either() -> None:
    first, second = connection(0, 40000, 130, 900), connection(1, 40002, 140, 900)
    found = beside(in_order(client(7, 100, 150), client(8, 120, 170)), first, second)
    assert found.guesses == 1
    assert [len(found.calls_of(one)) for one in (first, second)] == [1, 1]


def test_a_connection_before_the_capture_or_elsewhere_is_nobodys() -> None:
    other = connection(0, 40000, 900, 999)
    found = beside(client(7, 100, 150), other)
    assert (texts(found, other), len(found.strangers)) == ([], 1)


LISTENING = f"""
    7 000010 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
    7 000011 bind(3, {address(8000)}, 16) = 0
    7 000012 listen(3, 5) = 0
    """


def test_a_server_that_does_not_ask_whom_it_accepts_gets_them_in_the_order_of_its_queue() -> None:
    first, second = connection(0, 40000, 120, 900), connection(1, 40002, 220, 900)
    accepting = """
        7 000300 accept(3, NULL, NULL) = 4
        7 000310 accept(3, NULL, NULL) = 5
        7 000320 close(5) = 0
        """
    found = beside(LISTENING + accepting, first, second)
    listening = ["server bind(127.0.0.1:8000) = 0", "server listen(5) = 0"]
    assert texts(found, first) == [*listening, "server accept() = 127.0.0.1:40000"]
    assert texts(found, second) == [*listening, "server accept() = 127.0.0.1:40002", "server close() = 0"]


def test_a_child_that_closes_its_copy_of_the_listener_says_that_it_was_not_the_server() -> None:
    """So socat does it: the server goes on to listen."""
    one = connection(0, 40000, 120, 900)
    forking = """
        7 000300 accept(3, NULL, NULL) = 4
        7 000310 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD) = 8
        8 000320 close(3) = 0
        """
    assert texts(beside(LISTENING + forking, one), one) == [
        "server bind(127.0.0.1:8000) = 0",
        "server listen(5) = 0",
        "server accept() = 127.0.0.1:40000",
        "server [pid 8] close(listener) = 0",
    ]


def test_a_listener_is_told_of_a_connection_that_nobody_accepted() -> None:
    one = connection(0, 40000, 120, 900)
    found = beside(LISTENING, one)
    assert texts(found, one) == ["server bind(127.0.0.1:8000) = 0", "server listen(5) = 0"]
    assert found.strangers == []


def test_a_listener_at_a_port_of_no_connection_is_a_stranger() -> None:
    elsewhere = connection(0, 40000, 120, 900, Endpoint("127.0.0.1", 9000))
    assert len(beside(LISTENING, elsewhere).strangers) == 1


def test_a_socket_that_tries_again_after_a_refusal_is_two_connections() -> None:
    refused, opened = connection(0, 40000, 120, 130), connection(1, 40002, 220, 900)
    found = beside(
        f"""
        7 000090 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
        7 000100 connect(3, {address(8000)}, 16 <unfinished ...>
        7 000140 <... connect resumed>) = -1 ECONNREFUSED (Connection refused)
        7 000200 connect(3, {address(8000)}, 16 <unfinished ...>
        7 000240 <... connect resumed>) = 0
        7 000300 close(3) = 0
        """,
        refused,
        opened,
    )
    assert texts(found, refused) == ["client connect(127.0.0.1:8000) = ECONNREFUSED"]
    assert texts(found, opened) == ["client connect(127.0.0.1:8000) = 0", "client close() = 0"]


def test_a_pair_of_addresses_that_is_used_again_has_new_sockets() -> None:
    first, second = connection(0, 40000, 120, 190), connection(1, 40000, 220, 900)
    bound = f"""
        7 000100 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
        7 000101 bind(3, {address(40000)}, 16) = 0
        7 000110 connect(3, {address(8000)}, 16) = 0 <0.000020>
        7 000150 close(3) = 0
        """
    found = beside(bound + bound.replace("0001", "0002"), first, second)
    assert [call.entered_ns - S for call in found.calls_of(first)] == [101_000, 110_000, 150_000]
    assert [call.entered_ns - S for call in found.calls_of(second)] == [201_000, 210_000, 250_000]


ENDS = "<TCP:[127.0.0.1:40000->127.0.0.1:8000]>"


def asked_twice(first: int, second: int) -> str:
    """Return the log of two connections from one port, by two threads: the first is closed before the second."""
    return f"""
        {first} 000100 connect(3<TCP:[11]>, {address(8000)}, 16) = 0
        {first} 000150 sendto(3{ENDS}, "A", 1, 0, NULL, 0) = 1
        {first} 000200 close(3{ENDS}) = 0
        {second} 000300 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3<TCP:[12]>
        {second} 000310 connect(3<TCP:[12]>, {address(8000)}, 16) = 0
        {second} 000350 sendto(3{ENDS}, "B", 1, 0, NULL, 0) = 1
        """


@pytest.mark.parametrize("second", [7, 8])
def test_ends_that_are_told_are_those_of_the_socket_that_the_descriptor_is_now(second: int) -> None:
    first, again = connection(0, 40000, 110, 260), connection(1, 40000, 320, 999)
    found = beside(asked_twice(7, second), first, again)
    assert texts(found, first) == ["client connect(127.0.0.1:8000) = 0", "client send(b'A') = 1", "client close() = 0"]
    assert texts(found, again) == ["client connect(127.0.0.1:8000) = 0", "client send(b'B') = 1"]


def test_two_processes_that_were_running_before_may_use_the_same_number() -> None:
    """As `strace -p 7 -p 8` writes it: nothing tells that they share no descriptors."""
    first, other = connection(0, 40000, 110, 999), connection(1, 40002, 320, 999)
    log = f"""
        7 000100 connect(3<TCP:[11]>, {address(8000)}, 16) = 0
        7 000150 sendto(3{ENDS}, "A", 1, 0, NULL, 0) = 1
        8 000300 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3<TCP:[12]>
        8 000310 connect(3<TCP:[12]>, {address(8000)}, 16) = 0
        7 000350 sendto(3{ENDS}, "A", 1, 0, NULL, 0) = 1
        """
    found = beside(log, first, other)
    assert [call.name for call in found.calls_of(first)] == ["connect", "send", "send"]
    assert [call.name for call in found.calls_of(other)] == ["connect"]


def test_threads_share_descriptors_and_processes_copy_them() -> None:
    one = connection(0, 40000, 120, 900)
    accepting = f"7 000200 accept(3, {address(40000)}, [16]) = 4\n"
    shared = """
        7 000210 clone(child_stack=0x7f, flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD) = 8
        8 000220 close(4) = 0
        7 000230 shutdown(4, SHUT_WR) = -1 EBADF (Bad file descriptor)
        """
    copied = """
        7 000210 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD <unfinished ...>
        8 000212 close(4) = 0
        7 000215 <... clone resumed>, child_tidptr=0x7f) = 8
        7 000230 shutdown(4, SHUT_WR) = 0
        """
    found = beside(LISTENING + accepting + shared, one)
    assert texts(found, one)[3:] == ["server close() = 0"]
    found = beside(LISTENING + accepting + copied, one)
    assert texts(found, one)[3:] == ["server [pid 8] close() = 0", "server [pid 7] shutdown(SHUT_WR) = 0"]


def test_a_process_that_ends_closes_what_it_holds_and_says_when_it_began_to() -> None:
    one = connection(0, 40000, 120, 900)
    found = beside(
        f"""
        7 000100 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
        7 000110 connect(3, {address(8000)}, 16) = 0 <0.000020>
        7 000200 exit_group(5) = ?
        7 000300 +++ exited with 5 +++
        """,
        one,
    )
    (_, ended) = found.calls_of(one)
    assert (ended.text, ended.result, ended.entered_ns - S) == ("exit(5)", "", 200_000)


def test_a_copied_descriptor_is_the_same_socket_and_other_protocols_are_none() -> None:
    one = connection(0, 40000, 120, 900)
    found = beside(
        f"""
        7 000050 socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP) = 9
        7 000051 connect(9, {address(8000)}, 16) = 0
        7 000060 socket(AF_UNIX, SOCK_STREAM, 0) = 9
        7 000061 connect(9, {{sa_family=AF_UNIX, sun_path="/run/x"}}, 110) = -1 ENOENT (No such file or directory)
        7 000100 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
        7 000110 connect(3, {address(8000)}, 16) = 0 <0.000020>
        7 000150 dup2(3, 1) = 1
        7 000151 fcntl(3, F_DUPFD_CLOEXEC, 10) = 10
        7 000152 fcntl(3, F_GETFL) = 0x2 (flags O_RDWR)
        7 000160 write(1, "hi", 2) = 2
        7 000170 sendfile(10, 5, NULL, 4096) = 4096
        7 000180 getsockopt(3, SOL_SOCKET, SO_TYPE, [1], [4]) = 0
        """,
        one,
    )
    assert texts(found, one)[1:] == ["client write(b'hi') = 2", "client sendfile(4096) = 4096"]
    assert found.strangers == []


def test_another_program_has_no_socket_that_execve_closes() -> None:
    one = connection(0, 40000, 120, 900)
    kept = f"""
        7 000100 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
        7 000110 connect(3, {address(8000)}, 16) = 0 <0.000020>
        7 000200 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 8
        8 000210 execve("/bin/true", ["true"], 0x7f /* 9 vars */) = 0
        8 000220 exit_group(0) = ?
        8 000230 +++ exited with 0 +++
        7 000300 close(3) = 0
        """
    assert [call.text for call in beside(kept, one).calls_of(one)][1:] == ["[pid 8] exit(0)", "[pid 7] close()"]
    for closed in (
        kept.replace("SOCK_STREAM", "SOCK_STREAM|SOCK_CLOEXEC"),
        kept.replace("7 000200", "7 000150 fcntl(3, F_SETFD, FD_CLOEXEC) = 0\n7 000200"),
    ):
        assert [call.text for call in beside(closed, one).calls_of(one)][1:] == ["close()"]


def test_fast_open_connects_by_sending() -> None:
    one = connection(0, 40000, 120, 900)
    found = beside(
        f"""
        7 000100 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
        7 000110 sendto(3, "hi", 2, MSG_FASTOPEN, {address(8000)}, 16) = 2 <0.000020>
        7 000150 recvfrom(3, 0x7ffe, 9, MSG_DONTWAIT, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)
        """,
        one,
    )
    assert texts(found, one) == [
        "client sendto(b'hi', MSG_FASTOPEN, 127.0.0.1:8000) = 2",
        "client recv(9, MSG_DONTWAIT) = EAGAIN",
    ]


def test_who_was_running_before_the_log_is_found_by_what_it_asks() -> None:
    one = connection(0, 40000, 120, 900)
    found = beside(
        f"""
        7 000500 getsockname(6, {address(8000)}, [128 => 16]) = 0
        7 000501 getpeername(6, {address(40000)}, [128 => 16]) = 0
        7 000600 shutdown(6, SHUT_WR) = 0
        """,
        one,
    )
    assert texts(found, one) == ["server shutdown(SHUT_WR) = 0"]
