"""Socket calls as they are noted: what of them spells octets of the conversation is known, and can be left out."""

from __future__ import annotations

import socket

import pytest

from handshake_inspect.lab.calls import CallError, RecordedSocket, SocketCall
from handshake_inspect.views.ladder_calls import texts_of


class Kept:
    def __init__(self) -> None:
        self.calls: list[SocketCall] = []

    def note(self, call: SocketCall) -> None:
        self.calls.append(call)

    def told(self) -> list[str]:
        """All calls without their octets."""
        return [" = ".join(texts_of(call, payload=False)) for call in self.calls]


def test_octets_that_were_sent_or_received_are_counted_instead() -> None:
    notes, (left, right) = Kept(), socket.socketpair()
    client, server = RecordedSocket("client", notes, real=left), RecordedSocket("server", notes, real=right)
    client.send(b"4")
    client.send(bytes(40))
    server.peek()
    server.recv(1)
    server.recv()
    client.shutdown()
    assert server.recv() == b""
    server.close()
    with pytest.raises(CallError):
        client.send(b"late")
    client.close()
    assert notes.told() == [
        "send(1 octet) = 1", "send(40 octets) = 40", "recv(1024, MSG_PEEK) = 41 octets", "recv(1) = 1 octet",
        "recv(1024) = 40 octets", "shutdown(SHUT_WR) = 0", "recv(1024) = b''", "close() = 0", "send(4 octets) = EPIPE",
        "close() = 0",
    ]  # fmt: skip
    assert str(notes.calls[0]) == "send(b'4') = 1"


def test_calls_with_datagrams_are_noted_too() -> None:
    notes = Kept()
    with RecordedSocket("server", notes, kind=socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.sendto(b"bith", one.address)
        one.recvfrom()
        host, port = one.address
    assert notes.told()[1:3] == [f"sendto(4 octets, {host}:{port}) = 4", f"recvfrom(65535) = 4 octets, {host}:{port}"]
