"""What is known of one capture as a whole, for whoever lists connections beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

from handshake_inspect.capture.about import About
from handshake_inspect.capture.order import Disorder


@dataclass
class CaptureSummary:
    """What one file, pipe or interface was."""

    #: As the user named it ("-" for standard input).
    name: str
    #: "pcap", "pcapng", "live" or "scapy".
    format: str
    #: Names of the link types seen: "Ethernet", "Linux cooked v1", ...
    link_types: tuple[str, ...] = ()
    #: Records read, and how many of them hold a TCP segment or a UDP datagram.
    frames: int = 0
    segments: int = 0
    datagrams: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    #: Frames that the capturing side says it lost; None if it does not say.
    dropped: int | None = None
    #: What the file says about itself: comments, names, interfaces.
    about: About = field(default_factory=About)
    #: What was found of times that step back.
    disorder: Disorder = field(default_factory=Disorder)
