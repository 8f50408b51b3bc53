"""Decompression of captures: gzip, zstd, xz, lzma and bzip2, recognised by their first octets.

In: a `Source` of compressed octets. Out: a `Source` of their contents. Memory is bounded for any stream: one call
returns no more than its caller has room for, and windows are limited. Streams may have several members one after the
other (RFC 1952 §2.2; xz: section 2 of its file format; zstd: RFC 8878 §3), as parallel compressors and log rotation
write them. Output before a break in the stream is kept.
"""

from __future__ import annotations

import contextlib
import sys
import zlib
from collections.abc import Callable
from typing import Protocol

from handshake_inspect.capture.source import Source
from handshake_inspect.plain import plain

#: Octets read at once, octets fed to a decompressor at once, and output asked of it at once. Where a stream breaks,
#: most decompressors lose the output of the current call, so the latter two are small.
READ_OCTETS, FEED_OCTETS, PIECE_OCTETS = 1 << 16, 1 << 10, 1 << 12
#: Largest window (dictionary) that a stream may require, the limit of the zstd program; xz -9 requires half.
WINDOW_LOG = 27
#: liblzma counts its own tables too.
LZMA_MEMORY_OCTETS = (1 << WINDOW_LOG) + (4 << 20)
#: Greatest number of compressions around a capture.
MOST_LAYERS = 3
#: Octets needed to recognise a compression.
MAGIC_OCTETS = 13


class Decompressor(Protocol):
    """Decompresses one member of a stream; the interface of the standard library's decompressors."""

    @property
    def eof(self) -> bool:
        """Has the member ended?"""

    @property
    def needs_input(self) -> bool:
        """Is more input needed before more output can come?"""

    @property
    def unused_data(self) -> bytes:
        """Input after the end of the member."""

    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes:
        """Feed `data`, and return at most `max_length` octets."""


class _GzipMember:
    """zlib's object for a gzip member, with the interface of the others: it buffers input not consumed yet.

    Where a member breaks, zlib loses the output before the break in the same call. Then the input since the last copy
    of its state is fed again, octet by octet: this allows large inputs, which are faster.
    """

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        #: A copy of an earlier state, the input since then, and the count of octets of output since then.
        self._before, self._put_in, self._came_out = self._member.copy(), bytearray(), 0
        #: The error that breaks the member, and the output still to be returned before it is raised.
        self._error: zlib.error | None = None
        self._before_error = memoryview(b"")

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def needs_input(self) -> bool:
        return not self._member.eof and not self._member.unconsumed_tail and self._error is None

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes:
        if self._error is not None:
            return self._rest(max_length)
        tail = self._member.unconsumed_tail
        if not tail:
            if len(self._put_in) >= READ_OCTETS:
                self._before, self._put_in, self._came_out = self._member.copy(), bytearray(), 0
            self._put_in += data
        try:
            octets = self._member.decompress(tail or data, max_length)
        except zlib.error as error:
            self._error = error
            self._before_error = memoryview(self._all_that_came_out())[self._came_out :]
            return self._rest(max_length)
        self._came_out += len(octets)
        return octets

    def _all_that_came_out(self) -> bytes:
        """Return all output between the last copy of the state and the break."""
        found = bytearray()
        with contextlib.suppress(zlib.error):
            for octet in self._put_in:
                found += self._before.decompress(bytes([octet]))
        return bytes(found)

    def _rest(self, max_length: int) -> bytes:
        """Return the next part of the output before the break. Raises zlib.error when none is left."""
        if not self._before_error and self._error is not None:
            raise self._error
        octets, self._before_error = bytes(self._before_error[:max_length]), self._before_error[max_length:]
        return octets


def _xz_stream() -> Decompressor:
    import lzma  # as `bz2`, slow to import, and most captures need neither

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=LZMA_MEMORY_OCTETS)


def _lzma_stream() -> Decompressor:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=LZMA_MEMORY_OCTETS)


def _bzip2_stream() -> Decompressor:
    import bz2

    return bz2.BZ2Decompressor()


def _zstd_frame() -> Decompressor:
    """Return a decompressor of the standard library (3.14), or of the package that backports it."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    frame: Decompressor = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG})
    return frame


@plain
class Compression:
    """One way to compress a stream."""

    #: Name in messages.
    name: str
    #: Program that decompresses it.
    program: str
    begin_member: Callable[[], Decompressor]
    #: May zeros follow a member? (xz: Stream Padding, section 2.2; gzip(1) accepts them.)
    padded: bool = False
    #: Octets fed to a decompressor at once, and output asked of it at once.
    feed_octets: int = FEED_OCTETS
    piece_octets: int = PIECE_OCTETS

    @property
    def missing(self) -> str | None:
        """What to install where this Python cannot decompress it; None where it can."""
        try:
            self.begin_member()
        except ImportError:
            return "install the package with its extra: pip install 'handshake-inspect[zstd]'"
        return None


GZIP = Compression("gzip", "gzip -dc", _GzipMember, padded=True, feed_octets=READ_OCTETS, piece_octets=1 << 18)
ZSTD = Compression("zstd", "zstd -dc", _zstd_frame)
XZ = Compression("xz", "xz -dc", _xz_stream, padded=True)
LZMA = Compression("lzma", "xz -dc", _lzma_stream)
BZIP2 = Compression("bzip2", "bzip2 -dc", _bzip2_stream)


def compression_of(start: bytes) -> Compression | None:
    """Return the compression of a stream that begins with `start` (MAGIC_OCTETS of it); None if it has none."""
    if start.startswith(b"\x1f\x8b"):
        return GZIP
    # RFC 8878 §3.1: a frame, or a skippable frame (§3.1.2), the last four bits of whose magic number may be any.
    if start.startswith(b"\x28\xb5\x2f\xfd") or (start[1:4] == b"\x2a\x4d\x18" and start[0] >> 4 == 5):
        return ZSTD
    if start.startswith(b"\xfd7zXZ\0"):
        return XZ
    if start.startswith(b"BZh") and start[3:4] in (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"):
        return BZIP2
    # No magic: the usual properties (lc=3 lp=0 pb=2), a dictionary of whole KiB, the size of the contents or -1.
    if start.startswith(b"\x5d\0\0") and len(start) == MAGIC_OCTETS and start[5:13].endswith((b"\xff" * 8, b"\0\0")):
        return LZMA
    return None


class DecompressedSource(Source):
    """The decompressed octets of a source, member after member."""

    def __init__(self, compression: Compression, source: Source, already_read: bytes = b"") -> None:
        self._compression = compression
        self._source = source
        #: Compressed octets not fed yet.
        self._ahead = memoryview(already_read)
        self._chunk = bytearray(READ_OCTETS)
        self._member = compression.begin_member()
        self._error: OSError | None = None
        #: Output of the last turn not delivered yet.
        self._piece = memoryview(b"")
        self.is_whole = source.is_whole
        self.octets_read = source.octets_read

    def readinto(self, view: memoryview) -> int:
        """Decompress at most as many octets as `view` holds; 0 at the end; OSError where the stream is broken.

        Waits for some octets, then adds those available without another read of the source; for a file, all that fit.
        """
        filled = 0
        while filled < len(view):
            if not self._piece:
                waits = not self._ahead and (self._member.needs_input or self._member.eof)
                if filled and waits and not self.is_whole:
                    break
                octets = self._next_piece(may_fail=not filled)
                if octets is None:
                    break
                self._piece = memoryview(octets)
            taken, self._piece = self._piece[: len(view) - filled], self._piece[len(view) - filled :]
            view[filled : filled + len(taken)] = taken
            filled += len(taken)
        return filled

    def _next_piece(self, *, may_fail: bool) -> bytes | None:
        """Return the output of one turn of the decompressor, which may be empty; None at the end.

        Without `may_fail` a break in the stream returns None, and every later call that may fail raises the error.
        """
        if self._error is None:
            try:
                return self._turn()
            except OSError as error:
                self._error = error
        if may_fail:
            raise self._error
        return None

    def _turn(self) -> bytes | None:
        member = self._member
        if member.eof:
            return b"" if self._next_member() else None
        feed = self._feed() if member.needs_input else b""
        ended = member.needs_input and not feed
        try:
            octets = member.decompress(feed, self._compression.piece_octets)
        except Exception as error:  # zlib, lzma and zstd have exceptions of their own, bz2 uses OSError
            raise OSError(self._complaint(error)) from None
        if ended and not octets:
            raise OSError(f"the {self._compression.name} stream ends early")
        return octets

    def _complaint(self, error: Exception) -> str:
        name = self._compression.name
        if "emory" in str(error):  # "Memory usage limit exceeded", "Frame requires too much memory"
            room, program = f"{1 << WINDOW_LOG >> 20} MiB", self._compression.program
            return f"the {name} stream needs a window of more than {room}; decompress it with `{program}`"
        return f"the {name} stream is broken ({error})"

    def _next_member(self) -> bool:
        """Begin the next member of the stream; False if there is none."""
        if rest := self._member.unused_data:
            self._ahead = memoryview(bytes(rest) + self._ahead)
        while chunk := self._feed():
            kept = bytes(chunk).lstrip(b"\0") if self._compression.padded else chunk
            if kept:
                self._ahead = memoryview(bytes(kept) + self._ahead)
                self._member = self._compression.begin_member()
                return True
        return False

    def _feed(self) -> memoryview:
        """Return the next compressed octets, at most as many as are fed at once; none at the end.

        The output of a broken stream depends on how much is fed at once, so a file is always fed in full portions.
        """
        ahead, most = self._ahead, self._compression.feed_octets
        while len(ahead) < most and (self.is_whole or not ahead):
            count = self._source.readinto(memoryview(self._chunk))
            self.octets_read = self._source.octets_read
            if not count:
                break
            ahead = memoryview(bytes(ahead) + self._chunk[:count])
        self._ahead = ahead[most:]
        return ahead[:most]

    def close(self) -> None:
        """Close the compressed source."""
        self._source.close()
