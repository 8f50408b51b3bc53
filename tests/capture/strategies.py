"""Frames for hypothesis, built by Scapy from layers; and how two decodings are compared."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from handshake_inspect.capture.records import RawFrame
from handshake_inspect.table import Block

ports = st.integers(0, 0xFFFF)
words = st.integers(0, 0xFFFFFFFF)
#: Options as Scapy spells them; those that it can cut.
options = st.lists(
    st.one_of(
        st.just(("NOP", None)),
        st.tuples(st.just("MSS"), ports),
        st.tuples(st.just("WScale"), st.integers(0, 255)),
        st.just(("SAckOK", b"")),
        st.tuples(st.just("Timestamp"), st.tuples(words, words)),
        st.tuples(st.just(253), st.binary(max_size=8)),
    ),
    max_size=4,
)


@st.composite
def transports(draw: st.DrawFn) -> Any:
    """Return a TCP or UDP layer, or an ICMP error that quotes one."""
    from scapy.layers.inet import TCP, UDP

    payload = draw(st.binary(max_size=30))
    if draw(st.integers(0, 3)) == 0:
        return UDP(sport=draw(ports), dport=draw(st.integers(10000, 20000))) / payload
    # The data offset is left to Scapy, but for some segments it is wrong.
    wrong = {"dataofs": draw(st.integers(0, 15))} if draw(st.integers(0, 9)) == 0 else {}
    tcp = TCP(
        sport=draw(ports), dport=draw(ports), seq=draw(words), ack=draw(words), flags=draw(st.integers(0, 511)),
        reserved=draw(st.integers(0, 7)), window=draw(ports), options=draw(options), **wrong,
    )  # fmt: skip
    return tcp / payload


@st.composite
def packets(draw: st.DrawFn) -> tuple[int, Any]:
    """Return an IP packet with its version."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, PadN

    inner = draw(transports())
    if draw(st.booleans()):
        fragment = draw(st.sampled_from([0, 0, 0, 0, 3]))
        flags = draw(st.sampled_from(["", "DF", "DF", "MF"]))
        ip = IP(
            src=draw(st.integers(0, 2**32 - 1).map(_dotted)), dst="10.0.0.1", id=draw(ports),
            ttl=draw(st.integers(0, 255)), frag=fragment, flags=flags,
            options=[b"\x94\x04\x00\x00"] * draw(st.integers(0, 3)),
        )  # fmt: skip
        return 4, ip / inner
    packet = IPv6(src="2001:db8::1", dst=f"fe80::{draw(ports):x}", hlim=draw(st.integers(0, 255)))
    for extension in draw(st.lists(st.sampled_from("hdf"), max_size=3, unique=True)):
        if extension == "h":
            packet = packet / IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))])
        elif extension == "d":
            packet = packet / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(12))])
        else:
            packet = packet / IPv6ExtHdrFragment(
                offset=draw(st.sampled_from([0, 0, 9])), m=draw(st.sampled_from([0, 0, 1]))
            )
    return 6, packet / inner


def _dotted(address: int) -> str:
    return ".".join(str(octet) for octet in address.to_bytes(4))


@st.composite
def frames(draw: st.DrawFn) -> RawFrame:
    """Return a frame of a link type that both readers know, perhaps with padding behind it."""
    from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether, Loopback

    version, packet = draw(packets())
    link = draw(st.sampled_from([1, 1, 1, 113, 276, 0, 101]))
    ethertype = 0x0800 if version == 4 else 0x86DD
    if link == 1:
        frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        for outer in draw(st.lists(st.booleans(), max_size=2)):
            frame = frame / (Dot1AD if outer else Dot1Q)(vlan=draw(st.integers(0, 4095)))
        frame = frame / packet
    elif link == 113:
        frame = CookedLinux(pkttype=draw(st.integers(0, 4)), proto=ethertype) / packet
    elif link == 276:
        frame = CookedLinuxV2(pkttype=draw(st.integers(0, 4)), proto=ethertype) / packet
    elif link == 0:
        frame = Loopback(type=2 if version == 4 else draw(st.sampled_from([24, 28, 30]))) / packet
    else:
        frame = packet
    octets = bytes(frame) + bytes(draw(st.sampled_from([0, 0, 6])))
    time_ns = draw(st.integers(0, 2**62))
    return RawFrame(octets, len(octets), time_ns, link)


def differences(ours: Block, theirs: Block) -> list[str]:
    """Return what differs between two decodings with the same names."""
    found = []
    for name in ("segments", "datagrams", "icmp_errors"):
        first, second = getattr(ours, name), getattr(theirs, name)
        if len(first) != len(second):
            found.append(f"{name}: {len(first)} and {len(second)} rows")
            continue
        found += [
            f"{name}.{column}: {first[column].tolist()} and {second[column].tolist()}"
            for column in first.DTYPES
            if (first[column] != second[column]).any()
        ]
    return found


def assert_equal(ours: Block, theirs: Block) -> None:
    """Fail with every column that differs."""
    assert differences(ours, theirs) == []
