"""System calls in the words of the ladders."""

from __future__ import annotations

import pytest

from handshake_inspect.lab.strace.lines import read_lines
from handshake_inspect.lab.strace.spelling import spelled

ADDRESS = '{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.1")}'


@pytest.mark.parametrize(
    ("line", "text", "result"),
    [
        (f"connect(3, {ADDRESS}, 16) = -1 ETIMEDOUT (Connection timed out)", "connect(10.0.0.1:80)", "ETIMEDOUT"),
        (f"bind(3, {ADDRESS}, 16) = 0", "bind(10.0.0.1:80)", "0"),
        ("listen(3, 128) = 0", "listen(128)", "0"),
        (f"accept4(3, {ADDRESS}, [16], SOCK_CLOEXEC) = 4", "accept()", "10.0.0.1:80"),
        ("accept(3, NULL, NULL) = 4", "accept()", "4"),
        ("accept(3, NULL, NULL) = 4<TCP:[10.0.0.2:80->10.0.0.1:5]>", "accept()", "10.0.0.1:5"),
        ("accept(3, 0x7ffe, [16]) = -1 EMFILE (Too many open files)", "accept()", "EMFILE"),
        ("accept4(3, <unfinished ...>", "accept()", "?"),
        ('sendto(3, "hi\\0", 3, MSG_NOSIGNAL, NULL, 0) = 3', "send(b'hi\\x00')", "3"),
        ('sendto(3, "hi", 2, MSG_DONTWAIT|MSG_NOSIGNAL, NULL, 0) = 2', "send(b'hi', MSG_DONTWAIT)", "2"),
        ('send(3, "0123456789abcdefghij"..., 99, 0) = 50', "send(b'0123456789abcdef'… 99 octets)", "50"),
        ('write(3, "hi", 2) = -1 EPIPE (Broken pipe)', "write(b'hi')", "EPIPE"),
        ('writev(3, [{iov_base="a", iov_len=1}, {iov_base="bc", iov_len=2}], 2) = 3', "writev(b'abc')", "3"),
        ("sendfile(3, 4, [0] => [512], 512) = 512", "sendfile(512)", "512"),
        ("sendmmsg(3, [{msg_hdr=...}], 1, 0) = 1", "sendmmsg(…)", "1"),
        ('recvfrom(3, "hi", 9, 0, NULL, NULL) = 2', "recv(9)", "b'hi'"),
        ('recvfrom(3, "hi", 9, MSG_PEEK, NULL, NULL) = 2', "recv(9, MSG_PEEK)", "b'hi'"),
        ("recvfrom(3, 0x7ffe, 9, 0, NULL, NULL) = -1 ECONNRESET (Connection reset by peer)", "recv(9)", "ECONNRESET"),
        ('read(3, "", 9) = 0', "read(9)", "b''"),
        ('read(3, "0123"..., 99) = 8', "read(99)", "b'0123'… 8 octets"),
        ("read(3, 0x7ffe, 99) = 8", "read(99)", "8 octets"),
        ('recvmsg(3, {msg_iov=[{iov_base="hi", iov_len=9}], msg_iovlen=1}, 0) = 2', "recvmsg(9)", "b'hi'"),
        ("recvmsg(3, {msg_namelen=0}, 0) = -1 EAGAIN (Resource temporarily unavailable)", "recvmsg(…)", "EAGAIN"),
        ("setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4) = 0", "setsockopt(TCP_NODELAY, 1)", "0"),
        (
            "setsockopt(3, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=0}, 8) = 0",
            "setsockopt(SO_LINGER, on, 0 s)",
            "0",
        ),
        ("getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0", "getsockopt(SO_ERROR)", "ECONNREFUSED"),
        ("getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0", "getsockopt(SO_ERROR)", "0"),
        ("shutdown(3, SHUT_RDWR) = -1 ENOTCONN (Not connected)", "shutdown(SHUT_RDWR)", "ENOTCONN"),
        ("close(3) = 0", "close()", "0"),
    ],
)  # fmt: skip
def test_a_call_reads_as_a_program_calls_it(line: str, text: str, result: str) -> None:
    (call,) = read_lines([f"7 1795676722.000100 {line}"]).calls
    found = spelled(call)
    assert (found.text, found.result) == (text, result)
    # What it shows of the conversation is known, so that it can be left out.
    assert ("b'" in found.octets.text) == ("b'" in f"{text}{result}" and "b''" not in result)
    assert found.octets.text in f"{text} {result}"


def test_the_close_of_a_listener_says_so() -> None:
    (call,) = read_lines(["7 1795676722.000100 close(3) = 0"]).calls
    assert spelled(call, role="listener").text == "close(listener)"
