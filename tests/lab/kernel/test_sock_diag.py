"""The kernel's sockets: messages put together by hand, and those of the kernel of this machine."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel import sock_diag
from handshake_inspect.lab.kernel.sock_diag import dump, messages, parse_socket, tcp_sockets
from handshake_inspect.lab.world import LabError, in_private_world
from tests.lab.kernel.runs import connected, connecting, deafen, listener_at, settle
from tests.lab.privileges import as_ordinary_user

SHUTDOWN = struct.pack("=HHB3x", 5, 8, 0)
MARK = struct.pack("=HHI", 8, 15, 7)


def message(family: int, state: int, timer: int, attributes: bytes = b"") -> bytes:
    """A struct inet_diag_msg, field by field as <linux/inet_diag.h> has them."""
    address = (b"\x7f\x00\x00\x01", b"\x7f\x09\x09\x09") if family == socket.AF_INET else (bytes(15) + b"\x01",) * 2
    return (
        struct.pack("=BBBB", family, state, timer, 2)
        + struct.pack("!HH", 8000, 54668)
        + address[0].ljust(16, b"\0")
        + address[1].ljust(16, b"\0")
        + struct.pack("=III", 0, 0x55667788, 0x11223344)
        + struct.pack("=IIIII", 59_984, 3, 4, 1000, 402_755)
        + attributes
    )


@pytest.mark.parametrize(
    ("family", "state", "timer", "attributes", "expected"),
    [
        (socket.AF_INET, 1, 0, SHUTDOWN, ("127.0.0.1", "ESTABLISHED", "socket", "off")),
        (socket.AF_INET, 3, 1, b"", ("127.0.0.1", "SYN-RECEIVED", "request", "retransmit")),
        (socket.AF_INET, 3, 1, MARK + SHUTDOWN, ("127.0.0.1", "SYN-RECEIVED", "socket", "retransmit")),
        (socket.AF_INET6, 6, 3, b"", ("::1", "TIME-WAIT", "mini", "time-wait")),
        (socket.AF_INET6, 5, 3, MARK, ("::1", "FIN-WAIT-2", "mini", "time-wait")),
    ],
)
def test_a_message_is_read(
    family: int, state: int, timer: int, attributes: bytes, expected: tuple[str, str, str, str]
) -> None:
    one = parse_socket(message(family, state, timer, attributes))
    assert (one.local.ip, one.state, one.kind, one.timer) == expected
    assert (one.local.port, one.remote.port) == (8000, 54668)
    assert (one.expires_ms, one.retransmissions, one.receive_queue, one.send_queue) == (59_984, 2, 3, 4)
    assert (one.inode, one.cookie) == (402_755, struct.unpack("=Q", struct.pack("=II", 0x55667788, 0x11223344))[0])
    assert one.accept_queue is one.backlog is None


def test_only_a_listener_has_an_accept_queue() -> None:
    one = parse_socket(message(socket.AF_INET, 10, 0, SHUTDOWN))
    assert (one.accept_queue, one.backlog) == (3, 4)


def test_a_mapped_address_is_spelled_as_ipv4() -> None:
    mapped = bytes(10) + b"\xff\xff\xc0\x00\x02\x01"
    assert sock_diag.endpoint(socket.AF_INET6, mapped, b"\x1f\x40") == Endpoint("192.0.2.1", 8000)


def test_messages_are_padded_to_four_octets_and_end_where_they_are_broken() -> None:
    one, other = struct.pack("=IHHII", 17, 20, 0, 0, 0) + b"a\0\0\0", struct.pack("=IHHII", 16, 3, 0, 0, 0)
    assert list(messages(one + other)) == [(20, b"a"), (3, b"")]
    assert list(messages(struct.pack("=IHHII", 0, 20, 0, 0, 0))) == []


def test_an_error_of_the_kernel_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock_diag, "SOCK_DIAG_BY_FAMILY", 4711)
    with pytest.raises(LabError, match=r"^the kernel does not tell its sockets \(sock_diag: Invalid argument\)$"):
        tcp_sockets()


def talk() -> list[tuple[str, str, int]]:
    def seen() -> list[tuple[str, str, int]]:
        there = [one for one in tcp_sockets() if one.state != "LISTEN"]
        return sorted((one.state, one.kind, bool(one.inode)) for one in there)

    found = []
    with listener_at("127.0.0.1", backlog=3) as listener:
        port = listener.getsockname()[1]
        with connecting(listener.getsockname()):
            found += seen()
            assert sum(one.kind == "request" and one.local.port == port for one in tcp_sockets()) == 1
        (listening,) = [one for one in tcp_sockets() if one.state == "LISTEN"]
        assert (listening.local, listening.accept_queue, listening.backlog) == (Endpoint("127.0.0.1", port), 0, 3)
        waiting = socket.create_connection(("127.0.0.1", port))
        (listening,) = [one for one in tcp_sockets() if one.state == "LISTEN"]
        assert listening.accept_queue == 1
        listener.accept()[0].close()
        deafen(waiting)
        waiting.close()
        client, server = connected(listener)
        cookies = {one.local: one.cookie for one in tcp_sockets()}
        name = Endpoint(*client.getsockname())
        for end in (client, server):
            end.close()
            settle()
            (mini,) = [one for one in tcp_sockets(ip_versions=(4,)) if one.local == name]
            found.append((mini.state, mini.kind, bool(mini.inode)))
            assert mini.timer == "time-wait"
            assert 59_000 < mini.expires_ms <= 60_000
            assert mini.cookie == cookies[name]
    return found


def test_requests_listeners_and_mini_sockets_are_told_apart(private_world: None) -> None:
    assert as_ordinary_user(lambda: in_private_world(talk)) == [
        ("SYN-RECEIVED", "request", False),
        ("SYN-SENT", "socket", True),
        ("FIN-WAIT-2", "mini", False),
        ("TIME-WAIT", "mini", False),
    ]


def test_the_sockets_of_this_namespace_are_those_of_proc() -> None:
    with listener_at("127.0.0.1") as listener, sock_diag.open_diagnosis() as asked:
        port = listener.getsockname()[1]
        inode = os.fstat(listener.fileno()).st_ino
        table = Path("/proc/self/net/tcp").read_text().splitlines()
        assert any(line.split()[1].endswith(f":{port:04X}") for line in table[1:])
        assert inode in {one.inode for one in dump(asked, 4)}
