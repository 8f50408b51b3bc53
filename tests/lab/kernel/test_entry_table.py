"""Sockets as rows: the same as objects, whatever the messages are like; and cheap."""

from __future__ import annotations

import socket
import time

import numpy as np

from handshake_inspect.lab.kernel.entry_table import ROW, local_of, read_rows, remote_of, rows_of
from handshake_inspect.lab.kernel.sock_diag import (
    EVERY_STATE,
    HEADER,
    bit_of,
    dump,
    open_diagnosis,
    socket_between,
)
from handshake_inspect.lab.world import in_private_world
from tests.lab.kernel.runs import connected, listener_at, settle
from tests.lab.kernel.test_sock_diag import MARK, SHUTDOWN, message


def framed(content: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(content), 20, 0, 0, 0) + content


def test_messages_of_one_length_and_of_several_give_the_same_rows() -> None:
    short, marked = (message(socket.AF_INET, 6, 3, attributes) for attributes in (b"", MARK))
    alike, mixed = rows_of(framed(marked) * 3), rows_of(framed(short) + framed(marked + SHUTDOWN) + framed(marked))
    assert len(alike) == len(mixed) == 3
    assert (alike["cookie"] == mixed["cookie"]).all()
    assert [str(local_of(row)) for row in mixed] == ["127.0.0.1:8000"] * 3
    assert [str(remote_of(row)) for row in mixed] == ["127.9.9.9:54668"] * 3
    assert mixed["expires_ms"].tolist() == [59_984] * 3
    assert rows_of(b"").dtype == ROW


def several() -> None:
    with listener_at("127.0.0.1", backlog=50) as listener, open_diagnosis() as netlink:
        pairs = [connected(listener) for _ in range(20)]
        for client, server in pairs[:15]:
            client.close()
            server.close()
        settle()
        for states in (EVERY_STATE, bit_of("TIME-WAIT"), bit_of("LISTEN")):
            rows = read_rows(netlink, states)
            objects = [one for version in (4, 6) for one in dump(netlink, version, states)]
            assert sorted(rows["cookie"].tolist()) == sorted(one.cookie for one in objects)
            assert {local_of(row) for row in rows} == {one.local for one in objects}
        assert len(read_rows(netlink, bit_of("TIME-WAIT"))) == 15
        one = next(one for one in dump(netlink, 4, bit_of("TIME-WAIT")))
        assert socket_between(netlink, one.local, one.remote) is not None
        # The kernel answers with the listener where there is nothing else: that is none.
        assert socket_between(netlink, one.remote, one.local) is None
        began = time.perf_counter()
        for _ in range(200):
            socket_between(netlink, one.local, one.remote)
        assert time.perf_counter() - began < 0.2
        for client, server in pairs[15:]:
            client.close()
            server.close()


def test_the_rows_are_those_of_the_objects(private_world: None) -> None:
    in_private_world(several)


def test_a_dump_of_no_socket_is_an_empty_table(private_world: None) -> None:
    def nothing() -> int:
        with open_diagnosis() as netlink:
            return int(np.size(read_rows(netlink, EVERY_STATE)))

    assert in_private_world(nothing) == 0
