"""Makes captures that somebody made to be slow to read, a million packets each.

    python -m tests.bench.hostile fins fins.pcap
    python -m tests.bench.hostile behaviours many.pcap --packets 8000000

`peers.HOSTILE` says in words what each is. All but `empty-records` are of Ethernet frames; octets of data are left out,
except in `captures-in-captures`. The same seed gives the same file.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.bench.peers import HOSTILE_PACKETS

FIN, SYN, RST, ACK = 1, 2, 4, 16
CLIENT, SERVER = 0, 1
BEGIN_S = 1_700_000_000
PCAP_HEADER = bytes.fromhex("d4c3b2a1 02000400 00000000 00000000 00000400 01000000")
#: Of each data segment.
OCTETS = 100
#: A three-way handshake.
OPENING = {
    "flags": [SYN, SYN | ACK, ACK], "side": [CLIENT, SERVER, CLIENT], "seq": [0, 0, 1], "ack": [0, 1, 1],
    "octets": [0, 0, 0],
}  # fmt: skip
Column = NDArray[np.int64]

#: A record of a pcap file, and Ethernet, IP and TCP headers behind one another: what `records` fills.
RECORD = [("seconds", "<u4"), ("microseconds", "<u4"), ("captured", "<u4"), ("original", "<u4")]
ETHERNET = [("macs", "V12"), ("type", ">u2")]
IPV4 = [
    ("version", "u1"), ("tos", "u1"), ("length", ">u2"), ("id", ">u2"), ("fragment", ">u2"), ("ttl", "u1"),
    ("protocol", "u1"), ("ip_checksum", ">u2"), ("source", ">u4"), ("destination", ">u4"),
]  # fmt: skip
IPV6 = [
    ("version", ">u4"), ("length", ">u2"), ("protocol", "u1"), ("ttl", "u1"),
    ("source_hi", ">u8"), ("source", ">u8"), ("destination_hi", ">u8"), ("destination", ">u8"),
]  # fmt: skip
TCP = [
    ("source_port", ">u2"), ("destination_port", ">u2"), ("seq", ">u4"), ("ack", ">u4"), ("flags", ">u2"),
    ("window", ">u2"), ("checksum", ">u2"), ("urgent", ">u2"),
]  # fmt: skip


@dataclass(frozen=True)
class Segments:
    """Columns, or one value for all: who sent each segment of which pair of sockets, and what it says."""

    flags: Column | int
    side: Column | int
    seq: Column | int
    ack: Column | int
    #: Octets of data, which are not captured.
    octets: Column | int = 0
    pair: Column | int = 0


def anything(rng: np.random.Generator, packets: int) -> Column:
    """Numbers that have nothing to do with each other."""
    return rng.integers(0, 1 << 32, packets)


def syns(rng: np.random.Generator, packets: int) -> Segments:
    """SYNs of one pair of sockets, each with another initial sequence number."""
    return Segments(SYN, CLIENT, anything(rng, packets), 0)


def rsts(rng: np.random.Generator, packets: int) -> Segments:
    """One connection: RSTs of both ends."""
    return opened(packets, RST | ACK, np.arange(packets) % 2, anything(rng, packets), anything(rng, packets))


def fins(rng: np.random.Generator, packets: int) -> Segments:
    """One connection: FINs of both ends, each with another number."""
    return opened(packets, FIN | ACK, np.arange(packets) % 2, anything(rng, packets), anything(rng, packets))


def shuffled(rng: np.random.Generator, packets: int) -> Segments:
    """One connection: a transfer whose segments come in no order at all."""
    return opened(packets, ACK, CLIENT, 1 + OCTETS * rng.permutation(packets), 1, OCTETS)


def overlapping(rng: np.random.Generator, packets: int) -> Segments:
    """One connection: a transfer whose segments begin anywhere, each octet sent ten times."""
    return opened(packets, ACK, CLIENT, 1 + rng.integers(0, OCTETS * packets // 10, packets), 1, OCTETS)


def behaviours(rng: np.random.Generator, packets: int, length: int = 8) -> Segments:
    """Connections of eight segments that go on anyhow after their opening: no two need be alike."""
    place = np.arange(packets) % length
    flags = rng.choice(np.array([ACK, ACK, ACK, FIN | ACK, FIN | ACK, RST, RST | ACK]), packets)
    side, seq, ack = (rng.integers(0, most, packets) for most in (2, 4, 4))
    return with_openings(Segments(flags, side, seq, ack, np.zeros_like(seq), pair=np.arange(packets) // length), place)


def opened(packets: int, flags: int, side: Column | int, seq: Column, ack: Column | int, octets: int = 0) -> Segments:
    """Return segments of one connection that begins with a three-way handshake."""
    columns = (np.broadcast_to(one, packets).copy() for one in (flags, side, seq, ack, octets))
    return with_openings(Segments(*columns), np.arange(packets))


def with_openings(said: Segments, place: Column) -> Segments:
    """Replace the first three segments of each connection by a three-way handshake. `place`: from 0 in each."""
    opening = place < len(OPENING["flags"])
    for name, script in OPENING.items():
        getattr(said, name)[opening] = np.array(script)[place[opening]]
    return said


def over_ipv4(make: Callable[[np.random.Generator, int], Segments]) -> Callable[[np.random.Generator, int], bytes]:
    """Return what makes the records of such segments."""

    def records(rng: np.random.Generator, packets: int) -> bytes:
        said = make(rng, packets)
        pair, from_server = np.broadcast_to(said.pair, packets), np.broadcast_to(said.side, packets) == SERVER
        clients, servers = (0x0A000000 + pair // 50_000, 10_000 + pair % 50_000), (0x0B000001, 80)
        frames = empty(packets, IPV4)
        frames["type"], frames["version"], frames["protocol"], frames["ttl"] = 0x0800, 0x45, 6, 64
        frames["length"], frames["id"] = 40 + np.broadcast_to(said.octets, packets), np.arange(packets) % (1 << 16)
        frames["original"] += np.broadcast_to(said.octets, packets).astype(np.uint32)
        for name, client, server in zip(("source", "source_port"), clients, servers, strict=True):
            frames[name] = np.where(from_server, server, client)
            frames[name.replace("source", "destination")] = np.where(from_server, client, server)
        for name, values in (("seq", said.seq), ("ack", said.ack)):
            frames[name] = values % (1 << 32)
        frames["flags"] = 5 << 12 | said.flags
        return frames.tobytes()

    return records


def empty(packets: int, ip: list[tuple[str, str]], octets: int = 0) -> NDArray[np.void]:
    """Return frames with nothing but their times and lengths, and room for octets of data."""
    frames = np.zeros(packets, [*RECORD, *ETHERNET, *ip, *TCP, ("data", f"V{octets}")])
    time_us = np.arange(packets) * 10
    frames["seconds"], frames["microseconds"] = BEGIN_S + time_us // 1_000_000, time_us % 1_000_000
    frames["captured"] = frames["original"] = frames.itemsize - 16
    frames["window"] = 100
    return frames


def collisions(rng: np.random.Generator, packets: int) -> bytes:
    """SYNs between IPv6 addresses that have one hash wherever both halves are put together before they are mixed."""
    frames = empty(packets, IPV6)
    frames["type"], frames["version"], frames["length"], frames["protocol"] = 0x86DD, 6 << 28, 20, 6
    number = rng.permutation(packets).astype(np.uint64)
    for end, some in (("source", number), ("destination", number >> np.uint64(12))):
        frames[f"{end}_hi"], frames[end] = (some >> np.uint64(6)) << np.uint64(58), some << np.uint64(58)
    frames["source_port"], frames["destination_port"], frames["flags"] = 40_000 + number % 10_000, 80, 5 << 12 | SYN
    return frames.tobytes()


def captures_in_captures(rng: np.random.Generator, packets: int) -> bytes:
    """A transfer of a capture file: inside each record stand others, which could be the next ones as well."""
    inner = empty(packets, IPV4)
    inner["type"], inner["version"], inner["length"], inner["protocol"] = 0x0800, 0x45, 40, 6
    inner["source"], inner["destination"], inner["flags"] = 0x0C000001, 0x0C000002, 5 << 12 | ACK
    inner["seq"] = anything(rng, packets)
    frames = empty(packets, IPV4, inner.itemsize)
    frames["type"], frames["version"], frames["protocol"], frames["ttl"] = 0x0800, 0x45, 6, 64
    frames["length"], frames["flags"] = 40 + inner.itemsize, 5 << 12 | ACK
    frames["source"], frames["destination"], frames["source_port"], frames["destination_port"] = 1 << 24, 2 << 24, 9, 80
    frames["seq"], frames["ack"] = 1 + inner.itemsize * np.arange(packets), 1
    frames["data"] = inner.view(frames["data"].dtype)
    return frames.tobytes()


def empty_records(_rng: np.random.Generator, packets: int) -> bytes:
    """Records of length 0."""
    frames = np.zeros(packets, RECORD)
    frames["seconds"] = BEGIN_S
    return frames.tobytes()


#: By name: what makes the records of each.
CAPTURES: dict[str, Callable[[np.random.Generator, int], bytes]] = {
    "syns": over_ipv4(syns),
    "rsts": over_ipv4(rsts),
    "fins": over_ipv4(fins),
    "shuffled": over_ipv4(shuffled),
    "overlapping": over_ipv4(overlapping),
    "behaviours": over_ipv4(behaviours),
    "collisions": collisions,
    "captures-in-captures": captures_in_captures,
    "empty-records": empty_records,
}


def write(name: str, path: Path, packets: int) -> None:
    """Write one of them."""
    path.write_bytes(PCAP_HEADER + CAPTURES[name](np.random.default_rng(5961), packets))


def main() -> None:
    """Make one capture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=CAPTURES)
    parser.add_argument("path", type=Path)
    parser.add_argument("--packets", type=int, default=HOSTILE_PACKETS)
    given = parser.parse_args()
    write(given.name, given.path, given.packets)


if __name__ == "__main__":
    main()
