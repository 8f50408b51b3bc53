"""Segments as no kernel of ours sends them: forged from nothing, or real ones that were changed on the way.

In: an Ethernet frame of IPv4 and TCP. Out: another, whose lengths and checksums are right (Scapy computes them): its
receiver believes it. A script forges; a wire that plays a middlebox changes what passes, by a `Change`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from handshake_inspect.lab.segments import Segment
from handshake_inspect.tcp.seqnum import MODULUS

#: What a middlebox changes: TTL, source and destination, which are written anew; MSS, the most that is let through;
#: timestamps, which are overwritten; seq or ack, to which a number is added (ack: the edges of SACK blocks too).
What = Literal["TTL", "source", "destination", "MSS", "timestamps", "seq", "ack"]
#: What stands in the place of timestamps that were taken out, as firewalls do: nothing has to move.
NOPS = [("NOP", None)] * 10


@dataclass(frozen=True)
class Change:
    """What a middlebox does to a segment that passes."""

    what: What
    number: int = 0
    #: Of source and destination.
    address: str = ""


def load() -> None:
    """Import Scapy now, which takes 0.2 s: between a SYN and its answer that would cause a retransmission."""
    import scapy.layers.inet
    import scapy.layers.l2  # noqa: F401


def forged(model: Segment, flags: str, *, seq: int) -> bytes:
    """Return a frame that its sender never sent: like `model`, without options or payload, with other numbers.

    `flags`: Scapy's letters for the control bits.
    """
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether

    frame = Ether(model.frame)
    ip, tcp = frame[IP], frame[TCP]
    segment = TCP(sport=tcp.sport, dport=tcp.dport, flags=flags, seq=seq % MODULUS)
    return bytes(Ether(src=frame.src, dst=frame.dst) / IP(src=ip.src, dst=ip.dst) / segment)


def port_unreachable(model: Segment, *, seq: int) -> bytes:
    """Return a forged ICMP error of the sender of `model` to its receiver, about a segment that has this number."""
    from scapy.layers.inet import ICMP, IP, TCP
    from scapy.layers.l2 import Ether

    frame = Ether(model.frame)
    ip, tcp = frame[IP], frame[TCP]
    quoted = bytes(IP(src=ip.dst, dst=ip.src) / TCP(sport=tcp.dport, dport=tcp.sport, flags="A", seq=seq % MODULUS))
    error = ICMP(type="dest-unreach", code="port-unreachable") / quoted[:28]
    return bytes(Ether(src=frame.src, dst=frame.dst) / IP(src=ip.src, dst=ip.dst) / error)


def altered(
    frame: bytes,
    *,
    payload: bytes | None = None,
    ttl: int | None = None,
    ip_id: int | None = None,
    source: str | None = None,
    destination: str | None = None,
    **fields: Any,
) -> bytes:
    """Return a frame with another payload or fields of IP's header, or of TCP's by Scapy's names of them."""
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    packet = Ether(frame)
    ip, tcp = packet[IP], packet[TCP]
    for name, value in {"ttl": ttl, "id": ip_id, "src": source, "dst": destination}.items():
        if value is not None:
            setattr(ip, name, value)
    if payload is not None:
        tcp.remove_payload()
        tcp.add_payload(Raw(payload))
    computed = {"dataofs": None, "chksum": None}
    for name, value in (computed | fields).items():
        setattr(tcp, name, value % MODULUS if name in ("seq", "ack") else value)
    ip.len = ip.chksum = None
    return bytes(packet)


def options_of(frame: bytes) -> list[tuple[str, Any]]:
    """Return the options of a segment by Scapy's names of them, each with its value."""
    from scapy.layers.inet import TCP
    from scapy.layers.l2 import Ether

    return list(Ether(frame)[TCP].options)


def changed(frame: bytes, change: Change) -> bytes:
    """Return a frame as a middlebox passes it on."""
    from scapy.layers.inet import TCP
    from scapy.layers.l2 import Ether

    tcp = Ether(frame)[TCP]
    if change.what == "TTL":
        return altered(frame, ttl=change.number)
    if change.what == "source":
        return altered(frame, source=change.address)
    if change.what == "destination":
        return altered(frame, destination=change.address)
    if change.what == "seq":
        return altered(frame, seq=tcp.seq + change.number)
    if change.what == "ack":
        edges = with_option(tcp.options, "SAck", lambda value: tuple((n + change.number) % MODULUS for n in value))
        return altered(frame, ack=tcp.ack + change.number if tcp.flags.A else tcp.ack, options=edges)
    if change.what == "MSS":
        return altered(frame, options=with_option(tcp.options, "MSS", lambda value: min(value, change.number)))
    options = [NOPS if option[0] == "Timestamp" else [option] for option in tcp.options]
    return altered(frame, options=list(chain.from_iterable(options)))


def with_option(options: list[tuple[str, Any]], name: str, new: Callable[[Any], Any]) -> list[tuple[str, Any]]:
    """Return options of Scapy's in which one has another value, if it is there."""
    return [(one, new(value) if one == name else value) for one, value in options]
