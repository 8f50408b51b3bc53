"""Makes the captures that the section on speed in the README is measured with.

    python -m tests.bench.workload short short.pcap
    python -m tests.bench.workload bulk long.pcap --times 10

- `bulk`: 2 million packets in 40 connections, 95 % of them data, cut to 128 octets.
- `lossy`: the same transfers, of whose segments 0.5 % are lost and sent again, 0.5 % are overtaken by the next one, and
  0.5 % are not in the capture.
- `short`: about 2 million packets in 212,000 connections of 15 kinds, interleaved: echo sessions closed in three and
  four segments, by client or server, refused, unanswered, reset, half-open, with retransmissions ...
- `flood`: 1 million SYNs that nobody answers.

10 % of the connections are IPv6, 10 % are in a VLAN. The same seed gives the same file. `--times` goes on with as many
other connections, again and again; `--of` makes one of so many parts of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
SNAPLEN = 128
#: A segment of `lossy` that was lost is sent again after so many others of its connection.
RECOVERY = 60
Column = NDArray[np.int64]

#: One kind of connection: (from client?, flags, client numbers used, server numbers used, payload) per segment. The
#: numbers are octets since the ISN at the moment of sending.
Script = list[tuple[bool, int, int, int, int]]


def scripts() -> list[Script]:
    """Return the 15 kinds of `short`, each the segments of one connection in order."""
    opening: Script = [(True, SYN, 0, 0, 0), (False, SYN | ACK, 0, 1, 0), (True, ACK, 1, 1, 0)]
    echo: Script = [
        (True, PSH | ACK, 1, 1, 40),
        (False, ACK, 1, 41, 0),
        (False, PSH | ACK, 1, 41, 40),
        (True, ACK, 41, 41, 0),
    ]
    four: Script = [(True, FIN | ACK, 41, 41, 0), (False, ACK, 41, 42, 0), (False, FIN | ACK, 41, 42, 0)]
    last: Script = [(True, ACK, 42, 42, 0)]
    three: Script = [(True, FIN | ACK, 41, 41, 0), (False, FIN | ACK, 41, 42, 0)]
    server: Script = [(False, FIN | ACK, 41, 41, 0), (True, ACK, 41, 42, 0), (True, FIN | ACK, 41, 42, 0)]
    return [
        opening + echo + four + last,
        opening + echo + three + last,
        opening + echo + server + [(False, ACK, 42, 42, 0)],
        opening + echo + [(True, FIN | ACK, 41, 41, 0), (False, FIN | ACK, 41, 41, 0)]
        + [(True, ACK, 42, 42, 0), (False, ACK, 42, 42, 0)],
        [(True, SYN, 0, 0, 0), (False, RST | ACK, 0, 1, 0)],
        [(True, SYN, 0, 0, 0)] * 3,
        opening + echo + [(True, RST | ACK, 41, 41, 0)],
        [*opening, (False, RST, 1, 0, 0)],
        [*opening[:2], opening[1], opening[1]],
        [opening[0], *opening, *echo, *four, *last],
        opening + echo + [echo[0], echo[1]] + four + last,
        opening + echo + four + [four[2]] + last * 2,
        opening + echo + four[:2],
        echo + four + last,
        opening + [(True, PSH | ACK, 1, 1, 100), (False, PSH | ACK, 1, 101, 100), (True, ACK, 101, 101, 0)] * 1
        + [(True, FIN | ACK, 101, 101, 0), (False, FIN | ACK, 101, 102, 0), (True, ACK, 102, 102, 0)],
    ]  # fmt: skip


@dataclass
class Packets:
    """Columns of what is to be written, one row per packet in order of time."""

    connection: Column
    from_client: NDArray[np.bool_]
    flags: Column
    seq: Column
    ack: Column
    payload: Column
    time_ns: Column
    has_ack: NDArray[np.bool_]


def short(rng: np.random.Generator, connections: int) -> Packets:
    """Many short connections of many kinds."""
    kinds = scripts()
    weight = np.array([30, 20, 8, 2, 6, 3, 4, 1, 2, 4, 6, 3, 3, 3, 5], float)
    kind = rng.choice(len(kinds), connections, p=weight / weight.sum())
    begin = np.sort(rng.integers(0, 60 * 10**9, connections))
    parts = []
    for number, script in enumerate(kinds):
        mine = np.flatnonzero(kind == number)
        segment = np.tile(np.arange(len(script)), len(mine))
        columns = np.array(script, np.int64)[segment]
        connection = np.repeat(mine, len(script))
        gaps = rng.integers(20_000, 400_000, (len(mine), len(script)))
        time_ns = begin[connection] + np.cumsum(gaps, axis=1).reshape(-1)
        parts.append(np.column_stack([connection, time_ns, columns]))
    rows = np.concatenate(parts)
    rows = rows[np.argsort(rows[:, 1], kind="stable")]
    return _numbered(rng, rows[:, 0], rows[:, 2] == 1, rows[:, 3], rows[:, 4], rows[:, 5], rows[:, 6], rows[:, 1])


def bulk(rng: np.random.Generator, packets: int, connections: int = 40) -> Packets:
    """A few long downloads: one acknowledgment for 19 data segments."""
    return _downloads(rng, packets, connections, lambda middle: middle)


def lossy(rng: np.random.Generator, packets: int) -> Packets:
    """The same, where segments are lost on the way to the client and sent again, overtaken, or not captured."""

    def disturbed(middle: Column) -> Column:
        odd = rng.random(len(middle))
        odd[-2 * RECOVERY :] = 1
        is_ack = middle[:, 0] == 1
        lost = np.flatnonzero((odd < 0.005) & ~is_ack)
        for first in lost:
            recovery = middle[first : first + RECOVERY]
            asks = recovery[recovery[:, 0] == 1]
            asks[:, 3] = np.minimum(asks[:, 3], middle[first, 2])
            recovery[recovery[:, 0] == 1] = asks
        overtaken = np.flatnonzero((odd >= 0.005) & (odd < 0.01))
        order = np.arange(len(middle), dtype=float)
        order[overtaken] += 1.5
        order = np.append(order, lost + RECOVERY - 0.5)
        whole = np.concatenate([middle, middle[lost]])[np.argsort(order, kind="stable")]
        return whole[rng.random(len(whole)) >= 0.005]

    return _downloads(rng, packets, 40, disturbed)


def _downloads(
    rng: np.random.Generator, packets: int, connections: int, disturbed: Callable[[Column], Column]
) -> Packets:
    """Long downloads beside one another. `disturbed`: what becomes of the segments between opening and closing."""
    opening, closing = scripts()[0][:3], 4
    each = packets // connections - len(opening) - closing
    is_ack = np.arange(each) % 20 == 19
    sent = np.cumsum(np.where(is_ack, 0, 1448))
    before = np.concatenate([[0], sent[:-1]])
    own, other = np.where(is_ack, 1, 1 + before), np.where(is_ack, 1 + sent, 1)
    middle = disturbed(np.column_stack([is_ack, np.full(each, ACK), own, other, np.where(is_ack, 0, 1448)]))
    end = 1 + int(sent[-1])
    tail = [
        (False, FIN | ACK, end, 1, 0),
        (True, ACK, 1, end + 1, 0),
        (True, FIN | ACK, 1, end + 1, 0),
        (False, ACK, end + 1, 2, 0),
    ]
    script = np.concatenate([np.array(opening, np.int64), middle, np.array(tail, np.int64)])
    connection = np.tile(np.arange(connections), len(script))
    columns = np.repeat(script, connections, axis=0)
    time_ns = np.arange(len(columns)) * 1200
    flags, number, acknowledged, payload = columns[:, 1:5].T
    return _numbered(rng, connection, columns[:, 0] == 1, flags, number, acknowledged, payload, time_ns)


def flood(rng: np.random.Generator, packets: int) -> Packets:
    """SYNs from everywhere, none answered."""
    zeros = np.zeros(packets, np.int64)
    everyone = np.ones(packets, np.bool_)
    return _numbered(rng, np.arange(packets), everyone, zeros + SYN, zeros, zeros, zeros, np.arange(packets) * 1000)


def _numbered(
    rng: np.random.Generator,
    connection: Column,
    from_client: NDArray[np.bool_],
    flags: Column,
    own: Column,
    other: Column,
    payload: Column,
    time_ns: Column,
) -> Packets:
    """Turn octets since the ISN into sequence numbers."""
    isn = rng.integers(0, 1 << 32, (int(connection.max()) + 1, 2))
    side = np.where(from_client, 0, 1)
    seq = (isn[connection, side] + own) & 0xFFFFFFFF
    has_ack = (flags & ACK) != 0
    ack = np.where(has_ack, (isn[connection, 1 - side] + other) & 0xFFFFFFFF, 0)
    return Packets(connection, from_client, flags, seq, ack, payload, time_ns, has_ack)


def going_on(name: str, times: int = 1, of: int = 1) -> Iterator[Packets]:
    """Yield a workload `times` over, each time with other connections and later; `of`: each has one of so many parts.

    Every part has its own numbers of connections, which become addresses and ports.
    """
    make, size = WORKLOADS[name]
    rng = np.random.default_rng(9293)
    connections, time_ns = 0, 0
    for _ in range(times):
        part = make(rng, size // of)
        yield replace(part, connection=part.connection + connections, time_ns=part.time_ns + time_ns)
        connections += int(part.connection.max()) + 1
        time_ns += int(part.time_ns.max()) + 1


def write(parts: Iterable[Packets], path: Path) -> None:
    """Write a nanosecond pcap of Ethernet frames, cut to `SNAPLEN`."""
    with path.open("wb") as file:
        file.write(np.array([0xA1B23C4D, 0x00040002, 0, 0, SNAPLEN, 1], "<u4").tobytes())
        for packets in parts:
            for a in range(0, len(packets.flags), 1 << 18):
                file.write(_frames(packets, slice(a, a + (1 << 18))))


def _frames(packets: Packets, part: slice) -> bytes:
    connection = packets.connection[part]
    v6, vlan = connection % 10 == 3, connection % 10 == 7
    options = np.where((packets.flags[part] & SYN) != 0, 20, 12)
    link = np.where(vlan, 18, 14)
    header = link + np.where(v6, 40, 20) + 20 + options
    original = header + packets.payload[part]
    captured = np.minimum(original, SNAPLEN)
    begin = np.concatenate([[0], np.cumsum(captured + 16)])
    out = np.zeros(int(begin[-1]), np.uint8)
    for layout in np.unique(np.column_stack([v6, vlan, options == 20]), axis=0):
        mine = np.flatnonzero((v6 == layout[0]) & (vlan == layout[1]) & ((options == 20) == layout[2]))
        octets = _layout(packets, part, mine, bool(layout[0]), bool(layout[1]), original[mine], captured[mine])
        for size in np.unique(captured[mine]):
            rows = np.flatnonzero(captured[mine] == size)
            place = begin[mine[rows]][:, None] + np.arange(16 + size)
            out[place] = octets[rows, : 16 + size]
    return out.tobytes()


def _layout(
    packets: Packets, part: slice, rows: Column, v6: bool, vlan: bool, original: Column, captured: Column
) -> NDArray[np.uint8]:
    """Make the octets of all frames of one header layout. Shape (rows, 16 + SNAPLEN)."""
    frame = np.zeros((len(rows), 16 + SNAPLEN), np.uint8)

    def put(at: int, kind: str, values: Column | int) -> None:
        width = np.dtype(kind).itemsize
        column = np.broadcast_to(np.asarray(values), len(rows)).astype(kind)
        frame[:, at : at + width] = column.view(np.uint8).reshape(len(rows), width)

    connection = packets.connection[part][rows]
    client = packets.from_client[part][rows]
    time_ns = packets.time_ns[part][rows] + 1_700_000_000 * 10**9
    put(0, "<u4", time_ns // 10**9)
    put(4, "<u4", time_ns % 10**9)
    put(8, "<u4", captured)
    put(12, "<u4", original)
    put(16 + 5, ">u2", np.where(client, 1, 2))
    at = 16 + 12
    if vlan:
        put(at, ">u2", 0x8100)
        put(at + 2, ">u2", 42)
        at += 4
    put(at, ">u2", 0x86DD if v6 else 0x0800)
    at += 2
    length = original - (at - 16)
    host, server = 0x0A000000 + connection // 20_000, 0xC0A80001 + connection % 250
    port, service = 10_000 + connection % 50_000, np.full(len(rows), 8000)
    if v6:
        put(at, ">u4", 6 << 28)
        put(at + 4, ">u2", length - 40)
        put(at + 6, "u1", 6)
        put(at + 7, "u1", 64)
        for place, address in ((at + 8, np.where(client, host, server)), (at + 24, np.where(client, server, host))):
            put(place, ">u4", 0x20010DB8)
            put(place + 12, ">u4", address)
        at += 40
    else:
        put(at, ">u2", 0x4500)
        put(at + 2, ">u2", length)
        put(at + 4, ">u2", packets.seq[part][rows] & 0xFFFF)
        put(at + 6, ">u2", 0x4000)
        put(at + 8, ">u2", 64 << 8 | 6)
        put(at + 12, ">u4", np.where(client, host, server))
        put(at + 16, ">u4", np.where(client, server, host))
        at += 20
    flags = packets.flags[part][rows]
    syn = bool((flags & SYN).any())
    put(at, ">u2", np.where(client, port, service))
    put(at + 2, ">u2", np.where(client, service, port))
    put(at + 4, ">u4", packets.seq[part][rows])
    put(at + 8, ">u4", packets.ack[part][rows])
    put(at + 12, ">u2", (10 if syn else 8) << 12 | flags)
    put(at + 14, ">u2", 502)
    stamp = time_ns // 10**6
    if syn:
        frame[:, at + 20 : at + 26] = [2, 4, 5, 180, 4, 2]
        frame[:, at + 26 : at + 28] = [8, 10]
        put(at + 28, ">u4", stamp)
        frame[:, at + 36 : at + 40] = [1, 3, 3, 7]
    else:
        frame[:, at + 20 : at + 24] = [1, 1, 8, 10]
        put(at + 24, ">u4", stamp)
        put(at + 28, ">u4", stamp)
    return frame


#: How each is made, and of how many connections (`short`) or packets.
WORKLOADS: dict[str, tuple[Callable[[np.random.Generator, int], Packets], int]] = {
    "bulk": (bulk, 2_000_000),
    "lossy": (lossy, 2_000_000),
    "short": (short, 212_000),
    "flood": (flood, 1_000_000),
}


def main() -> None:
    """Make one workload."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=WORKLOADS)
    parser.add_argument("path", type=Path)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--of", type=int, default=1)
    given = parser.parse_args()
    write(going_on(given.name, given.times, given.of), given.path)


if __name__ == "__main__":
    main()
