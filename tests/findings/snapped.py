"""Captures as a snapshot length would have left them: only so many octets of each frame."""

from __future__ import annotations

from io import BytesIO

from handshake_inspect.capture.files import open_capture
from tests.capture.builders import pcap
from tests.findings.captures import path_of


def snapped(name: str, octets: int) -> BytesIO:
    """Return a capture of Ethernet with no more than these octets of each frame."""
    return BytesIO(
        pcap(
            (records.octets(row)[:octets], int(records.original[row]), int(records.time_ns[row]))
            for records in open_capture(path_of(name))
            for row in range(len(records))
        )
    )
