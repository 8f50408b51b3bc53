"""Many TCP sockets of the kernel as columns: what a host with tens of thousands in TIME-WAIT is looked at with.

In: a netlink socket of sock_diag, and states. Out: one numpy row for each socket, with the fields of `struct
inet_diag_msg` under the names of <linux/inet_diag.h>. As objects (`sock_diag.dump`) 10,000 sockets take 50 ms, as rows
10 ms, of which the kernel needs 7.
"""

from __future__ import annotations

import socket

import numpy as np
import numpy.typing as npt

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel.sock_diag import HEADER, IP_VERSIONS, answers, endpoint

#: struct inet_diag_msg behind a struct nlmsghdr, as far as it is needed. Ports are big-endian, the rest is the host's.
ROW = np.dtype(
    {
        "names": ["family", "state", "timer", "sport", "dport", "src", "dst", "cookie", "expires_ms"],
        "formats": ["u1", "u1", "u1", ">u2", ">u2", "V16", "V16", "=u8", "=u4"],
        "offsets": [16, 17, 18, 20, 22, 24, 40, 60, 68],
        "itemsize": 72,
    }
)
Rows = npt.NDArray[np.void]


def read_rows(netlink: socket.socket, states: int) -> Rows:
    """Return a row for every socket in one of `states` (`sock_diag.bit_of`). Raises LabError."""
    parts = [rows_of(answer) for version in IP_VERSIONS for answer in answers(netlink, version, states)]
    return np.concatenate([np.empty(0, ROW), *parts])


def rows_of(answer: bytes) -> Rows:
    """Return a row for each message of an answer. Those of sockets in one state are mostly of one length."""
    if not answer:
        return np.empty(0, ROW)
    octets = np.frombuffer(answer, np.uint8)
    stride = HEADER.unpack_from(answer)[0] + 3 & ~3
    starts = np.arange(0, len(octets), stride)
    if len(octets) % stride or (lengths_at(octets, starts) != lengths_at(octets, starts[:1])).any():
        starts = np.array(walked(answer))
    return np.ascontiguousarray(octets[starts[:, None] + np.arange(ROW.itemsize)]).view(ROW)[:, 0]


def lengths_at(octets: npt.NDArray[np.uint8], starts: npt.NDArray[np.int_]) -> npt.NDArray[np.uint32]:
    """Return the length that each message says it has."""
    return np.ascontiguousarray(octets[starts[:, None] + np.arange(4)]).view(np.uint32)[:, 0]


def walked(answer: bytes) -> list[int]:
    """Return where each message begins, found by following their lengths."""
    starts, at = [], 0
    while at + ROW.itemsize <= len(answer):
        starts.append(at)
        at += max(HEADER.size, HEADER.unpack_from(answer, at)[0] + 3 & ~3)
    return starts


def local_of(row: np.void) -> Endpoint:
    """Return the local end of a row."""
    return endpoint(int(row["family"]), row["src"].tobytes(), int(row["sport"]).to_bytes(2, "big"))


def remote_of(row: np.void) -> Endpoint:
    """Return the remote end of a row."""
    return endpoint(int(row["family"]), row["dst"].tobytes(), int(row["dport"]).to_bytes(2, "big"))
