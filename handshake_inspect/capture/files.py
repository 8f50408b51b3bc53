"""From a file, a pipe or an open file object to blocks of records, whatever the format is.

In: a path, "-" for standard input, or a binary file object, gzip or not. Out: a `RecordReader`, which is iterated once
and yields `Records`. `source` knows how octets arrive, `pcap` and `pcapng` know the formats; this module recognises
them by their first octets.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import BinaryIO, cast

from handshake_inspect.capture import pcap, pcapng
from handshake_inspect.capture.records import CaptureError, NotACapture
from handshake_inspect.capture.source import GunzipSource, RecordReader, Source, Window

#: Octets read at once: larger blocks gain nothing, and memory stays small.
BLOCK_OCTETS = 1 << 23

#: Formats that we know by their first octets but do not read.
FOREIGN_MAGIC = {
    b"snoop\0": "a Solaris snoop file; convert it with `editcap -F pcapng`",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; decompress it first",
    b"\x04\x22\x4d\x18": "compressed with lz4; decompress it first",
    b"\xfd7zXZ\0": "compressed with xz; decompress it first",
    b"BZh": "compressed with bzip2; decompress it first",
    b"PK\x03\x04": "a zip archive; unpack it first",
}


def open_capture(
    source: str | os.PathLike[str] | BinaryIO, *, name: str | None = None, block_octets: int = BLOCK_OCTETS
) -> RecordReader:
    """Open a capture by its contents, not by its name.

    `source` is a path, "-" for standard input, or a binary file object (which stays open). `name` is what messages
    call it. Raises CaptureError, one line, if it is no capture that we read.
    """
    name = name or _name(source)
    opened = _open(source, name)
    try:
        return _recognise(Window(opened, block_octets), name, block_octets)
    except BaseException:
        opened.close()
        raise


def _recognise(window: Window, name: str, block_octets: int) -> RecordReader:
    window.need(4)
    if window.peek(2) == b"\x1f\x8b":
        window = Window(GunzipSource(window.source, window.peek(window.size)), block_octets)
        window.need(4)
    if window.error:
        raise CaptureError(f"{name}: cannot be read: {window.error}")
    magic = window.peek(4)
    if not magic:
        raise NotACapture(f"{name}: empty; a pcap or pcapng capture begins with a header of 24 octets or more")
    if magic in pcap.MAGIC:
        return pcap.PcapReader(name, window)
    if magic == pcapng.SECTION_MAGIC:
        return pcapng.PcapngReader(name, window)
    window.need(8)
    start = window.peek(8)
    for foreign, advice in FOREIGN_MAGIC.items():
        if start.startswith(foreign):
            raise CaptureError(f"{name}: {advice}")
    shown = start.decode("ascii") if start.isascii() and start.decode("ascii").isprintable() else start.hex(" ")
    raise NotACapture(f'{name}: not a capture: begins with "{shown}", expected a pcap or pcapng header')


def _open(source: str | os.PathLike[str] | BinaryIO, name: str) -> Source:
    if source == "-":
        return Source(sys.stdin.buffer, owned=False)
    if isinstance(source, str | os.PathLike):
        try:
            return Source(cast(BinaryIO, Path(source).open("rb", buffering=0)), owned=True)
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise CaptureError(f"{name}: cannot be opened: {reason}") from None
    if isinstance(source, io.TextIOBase):
        raise CaptureError(f"{name}: opened as text; open it in binary mode")
    return Source(source, owned=False)


def _name(source: str | os.PathLike[str] | BinaryIO) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "(file object)"
