"""Makes pages of inspections, and captures whose every text tries to be markup."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from pathlib import Path

import numpy as np

from handshake_inspect.capture.files import open_capture
from handshake_inspect.inspection import Inspection
from handshake_inspect.views.page.document import PageRequest, document
from tests.capture.builders import enhanced, interface, names, option, section

PCAPS = Path(__file__).parents[3] / "pcaps"
#: What runs, or breaks out, wherever a text of a capture is put into a page as it is.
HOSTILE = (
    "\"'></script><script>alert(1)</script><img src=x onerror=alert(2)><!-- \u202egnp.\u2028{{ 7 * 7 }}"
    "<b class=injected>"
)


def page_of(inspection: Inspection, *, limit: int = 20_000, said: str = "", command: str = "") -> str:
    """Return the page of all connections."""
    streams: np.ndarray = inspection.connections.streams
    return "".join(document(inspection, PageRequest(streams, inspection.exchanges, said, limit, command, "0.0.0")))


def hostile_capture(folder: Path, source: str = "four-way.pcap") -> Path:
    """Write a recorded capture as pcapng in which everything that can be said is hostile, its own name too."""
    said = HOSTILE.encode()
    octets, link_type = [], 1
    for block in open_capture(PCAPS / source):
        link_type = int(block.link_type[0])
        octets += [(block.octets(row), int(block.original[row]), int(block.time_ns[row])) for row in range(len(block))]
    texts = b"".join(option(code, said) for code in (1, 2, 3, 4)) + option(0, b"")
    interface_texts = b"".join(option(code, said) for code in (1, 2, 3, 12, 15))
    resolution = option(9, b"\x09")  # times in nanoseconds
    record = (1, ip_address("127.0.0.1").packed + said.replace(b"\0", b"") + b"\0")
    frames = [
        enhanced(data, original, time_ns, options=option(1, said) + option(0, b""))
        for data, original, time_ns in octets
    ]
    path = folder / f"{HOSTILE.replace('/', '_')[:120]}.pcapng"
    head = section(options=texts) + interface(link_type, interface_texts + resolution + option(0, b""))
    path.write_bytes(head + names([record], options=option(1, said)) + b"".join(frames))
    return path


def damaged(path: Path) -> None:
    """Cut a capture within its last block."""
    path.write_bytes(path.read_bytes()[: -struct.calcsize("<9I")])
