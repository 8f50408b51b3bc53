"""Facts about one capture as a whole, shown beside its connections."""

from __future__ import annotations

from dataclasses import field

from handshake_inspect.capture.about import About
from handshake_inspect.capture.order import Disorder
from handshake_inspect.plain import mutable


@mutable
class CaptureSummary:
    """Facts about one file, pipe or interface."""

    #: Name as the user gave it ("-" for standard input).
    name: str
    #: "pcap", "pcapng", "live" or "scapy".
    format: str
    #: Names of the link types seen: "Ethernet", "Linux cooked v1", ...
    link_types: tuple[str, ...] = ()
    #: Count of records read, and of those that hold a TCP segment or a UDP datagram.
    frames: int = 0
    segments: int = 0
    datagrams: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    #: Count of frames lost, as reported by the capturing side; None if not reported.
    dropped: int | None = None
    #: Metadata of the file: comments, names, interfaces.
    about: About = field(default_factory=About)
    #: What was found about times that step back.
    disorder: Disorder = field(default_factory=Disorder)
