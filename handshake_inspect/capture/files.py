"""From a file, a pipe or an open file object to blocks of records, for all formats.

In: a path, a name with `://`, "-" for standard input, or a binary file object, compressed or not. Out: a
`RecordReader`, which is iterated once and yields `Records`. `source` and `remote` deliver octets, `compressed`
decompresses them, `pcap`, `pcapng` and `snoop` read the formats; this module recognises the format by its first
octets. `foreign` names files of other formats.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from handshake_inspect.capture.ahead import AheadSource
from handshake_inspect.capture.compressed import MAGIC_OCTETS, MOST_LAYERS, DecompressedSource, compression_of
from handshake_inspect.capture.excerpt import EXCERPT_BLOCK_OCTETS, Excerpt, Offsets
from handshake_inspect.capture.formats import pcap, snoop
from handshake_inspect.capture.formats.pcapng.blocks import SECTION_MAGIC
from handshake_inspect.capture.records import CaptureError, NotACapture
from handshake_inspect.capture.remote import is_remote, open_remote
from handshake_inspect.capture.source import FileSource, RecordReader, Source, Window

if TYPE_CHECKING:
    from handshake_inspect.capture.formats.foreign import Kind

#: Octets read at once. For 2 M packets of long transfers two processes hold 98 MB; with 1 MiB less they hold 87 MB, and
#: take a twentieth more time.
BLOCK_OCTETS = 3 << 20


def open_capture(
    source: str | os.PathLike[str] | BinaryIO,
    *,
    name: str | None = None,
    block_octets: int = BLOCK_OCTETS,
    ahead: bool = False,
) -> RecordReader:
    """Open a capture by its contents, not by its name.

    `source` is a path, a name with `://` that fsspec opens, "-" for standard input, or a binary file object (which
    stays open). `name`: its name in messages. `ahead`: decompress it in a thread. Raises CaptureError, with a message
    of one line, if it is not a capture of a supported format.
    """
    name = name or _name(source)
    opened = _open(source, name)
    try:
        window, around = _decompressed(Window(opened, block_octets), name, block_octets)
        if around and ahead and window.source.is_whole:
            window.source = AheadSource(window.source)
        return _recognise(window, name, around)
    except BaseException:
        opened.close()
        raise


def open_excerpt(source: str | os.PathLike[str], begin: Offsets, end: Offsets, *, name: str) -> RecordReader:
    """Open a capture likewise, but read only its (uncompressed) octets in the spans [begin, end).

    These must contain its headers and whole records. Raises CaptureError.
    """
    opened = _open(source, name)
    try:
        window, around = _decompressed(Window(opened, EXCERPT_BLOCK_OCTETS), name, EXCERPT_BLOCK_OCTETS)
        excerpt = Window(Excerpt(window, begin, end), BLOCK_OCTETS)
        excerpt.need(4)
        return _recognise(excerpt, name, around)
    except BaseException:
        opened.close()
        raise


def open_decompressed(source: str | os.PathLike[str] | BinaryIO, *, name: str | None = None) -> io.BufferedReader:
    """Open a file likewise for another reader of captures, which gets its decompressed octets.

    Reading raises OSError where a compressed stream is broken. Raises CaptureError if it cannot be opened.
    """
    name = name or _name(source)
    opened = _open(source, name)
    try:
        window, _ = _decompressed(Window(opened, io.DEFAULT_BUFFER_SIZE), name, io.DEFAULT_BUFFER_SIZE)
        return io.BufferedReader(_WindowFile(window))
    except BaseException:
        opened.close()
        raise


def _decompressed(window: Window, name: str, block_octets: int) -> tuple[Window, list[str]]:
    """Undo all compression. Returns a window on the contents, and the names of the compressions, outermost first."""
    around: list[str] = []
    while True:
        window.need(4)
        if window.peek(3) in (b"\x5d\0\0", b"\xfd7z"):  # their magic is longer
            window.need(MAGIC_OCTETS)
        compression = compression_of(window.peek(MAGIC_OCTETS))
        if compression is None:
            return window, around
        if len(around) == MOST_LAYERS:
            raise CaptureError(f"{name}: compressed more than {MOST_LAYERS} times over; decompress it first")
        if compression.missing:
            raise CaptureError(
                f"{name}: compressed with {compression.name}; {compression.missing}, "
                f"or decompress it first: {compression.program} {name}"
            )
        around.append(compression.name)
        inside = DecompressedSource(compression, window.source, window.peek(window.size))
        window = Window(inside, block_octets)


def _recognise(window: Window, name: str, around: list[str]) -> RecordReader:
    magic = window.peek(4)
    if window.error and len(magic) < 4:
        raise CaptureError(f"{name}: cannot be read: {window.error}")
    if not magic:
        raise NotACapture(f"{name}: empty{_inside(around)}; a capture begins with a header of 16 octets or more")
    if magic in pcap.MAGIC:
        return pcap.PcapReader(name, window)
    if magic == SECTION_MAGIC:
        from handshake_inspect.capture.formats.pcapng.reader import PcapngReader  # slow to import

        return PcapngReader(name, window)
    window.need(len(snoop.MAGIC))
    if window.peek(len(snoop.MAGIC)) == snoop.MAGIC:
        return snoop.SnoopReader(name, window)
    raise _unreadable(window, name, around)


def _unreadable(window: Window, name: str, around: list[str]) -> CaptureError:
    """Return the error about a file of an unsupported format."""
    from handshake_inspect.capture.formats.foreign import SAMPLE_OCTETS, kind_of  # slow to import

    window.need(SAMPLE_OCTETS)
    if window.error:  # the octets before a break may look like any format
        return CaptureError(f"{name}: cannot be read: {window.error}")
    start = window.peek(SAMPLE_OCTETS)
    kind = kind_of(start)
    error = CaptureError if kind is not None and kind.is_capture else NotACapture
    return error(f"{name}: {_described(start, kind, name, around)}")


def _described(start: bytes, kind: Kind | None, name: str, around: list[str]) -> str:
    """Describe in one line a file of an unsupported format, and what to do."""
    begin = start[:8]
    shown = begin.decode("ascii") if begin.isascii() and begin.decode("ascii").isprintable() else begin.hex(" ")
    if kind is None:
        return f'not a capture{_inside(around)}: begins with "{shown}", expected a pcap, pcapng or snoop header'
    advice = f"; {kind.advice.format(name=name)}" if kind.advice else ""
    if kind.is_capture:
        return f"{kind.what}{_inside(around)}, which is not read{advice}"
    begins = f', begins with "{shown}"' if kind.what.split(" in ")[0] == "text" else ""
    return f"not a capture: {kind.what}{_inside(around)}{begins}{advice}"


def _inside(around: list[str]) -> str:
    return f" inside {' inside '.join(reversed(around))}" if around else ""


class _WindowFile(io.RawIOBase):
    """A window with the interface of a raw file."""

    def __init__(self, window: Window) -> None:
        self._window = window

    def readable(self) -> bool:
        return True

    def readinto(self, view: memoryview) -> int:  # type: ignore[override]
        window = self._window
        if window.need(1):
            count = min(len(view), window.end - window.start)
            view[:count] = window.buffer[window.start : window.start + count]
            window.start += count
            return count
        if window.error:
            raise OSError(window.error)
        return 0

    def close(self) -> None:
        if not self.closed:
            self._window.source.close()
        super().close()


def _open(source: str | os.PathLike[str] | BinaryIO, name: str) -> Source:
    if source == "-":
        return FileSource(sys.stdin.buffer, owned=False)
    if isinstance(source, str) and is_remote(source):
        return open_remote(source, name)
    if isinstance(source, str | os.PathLike):
        try:
            return FileSource(cast(BinaryIO, Path(source).open("rb", buffering=0)), owned=True)
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise CaptureError(f"{name}: cannot be opened: {reason}") from None
    if isinstance(source, io.TextIOBase):
        raise CaptureError(f"{name}: opened as text; open it in binary mode")
    if getattr(source, "closed", False):
        raise CaptureError(f"{name}: this file is closed; open it again, or give its name")
    if isinstance(source, io.IOBase) and not source.readable():
        raise CaptureError(f"{name}: opened for writing alone; open it for reading, or give its name")
    return FileSource(source, owned=False)


def _name(source: str | os.PathLike[str] | BinaryIO) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "(file object)"
