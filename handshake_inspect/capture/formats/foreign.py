"""What a file is that is no capture we read: its kind, and what to do about it, in a few words.

In: the first octets of a file. Out: a `Kind`, or None for what nobody can tell. The table has one line per kind: where
its magic stands, the magic, what it is, what to do. Text has no magic: it is told by how it begins and looks.
"""

from __future__ import annotations

import re

from handshake_inspect.plain import plain

#: How many of the first octets tell what a file is.
SAMPLE_OCTETS = 1024

_CONVERT = "convert it with `editcap -F pcapng {name} capture.pcapng`"
_UNPACK = "unpack it first"
_AGAIN = "copy it again in binary mode"
_UNKNOWN_RECORDS = "its records are documented nowhere; have its tool write plain pcap"


@plain
class Kind:
    """One kind of file."""

    #: Without an article: it stands in "not a capture: JSON text".
    what: str
    #: What to do; "" where nothing helps. `{name}` is the file.
    advice: str = ""
    #: Does it hold frames, in a format that others read?
    is_capture: bool = False


def _other(tool: str) -> Kind:
    return Kind(f"{tool} capture", _CONVERT, is_capture=True)


def _variant(whose: str) -> Kind:
    return Kind(f"pcap variant of {whose}", _UNKNOWN_RECORDS, is_capture=True)


#: (offset, octets, kind). Sources: Wireshark's wiretap for captures, the makers' own documents for the rest.
MAGICS: tuple[tuple[int, bytes, Kind], ...] = (
    # Captures of other tools.
    (0, b"GMBU", _other("Microsoft Network Monitor 2")),
    (0, b"RTSS", _other("Microsoft Network Monitor 1")),
    (0, b"TRSNIFF data    \x1a", _other("Sniffer (DOS)")),
    (0, b"XCP\0", _other("NetXRay or Sniffer (Windows)")),
    (0, b"VL\0\0", _other("NetXRay 1")),
    (0, b"iptrace ", _other("AIX iptrace")),
    (0, b"\xaa\xaa\xaa\xaa", _other("InfoVista 5View")),
    (0, b"btsnoop\0", Kind("Bluetooth capture (btsnoop)", "it holds no TCP", is_capture=True)),
    (0, b"\0\0\x02\0\x12\x05\0\x10", _other("Tektronix K12")),
    (0, b"\x42\xd2\0\x34\x12\x66\x22\x88", _other("RADCOM")),
    (0, b"\x05VNF", _other("Visual Networks")),
    (0, b"\x7fver", _other("Savvius Peek")),
    (0, b"ObserverPktBuffe", _other("Network Instruments Observer")),
    (0, b"cpse", _other("Colasoft Capsa")),
    (0, b"\0\0\0\x01\0\0\0\0\0\x07\xd0\0", _other("HP-UX nettl")),
    (0, b"TR\0d\0", _other("HP-UX nettl")),
    (0, b"LOGG", _other("Vector BLF")),
    (0, b"EyeSDN", _other("EyeSDN")),
    # A Windows event trace: WMI_BUFFER_HEADER (72 octets), then a SYSTEM_TRACE_HEADER of 32 or 64 bits, version 2.
    (72, b"\x02\0\x01\xc0", Kind("Windows event trace (ETL)", "convert it with etl2pcapng", is_capture=True)),
    (72, b"\x02\0\x02\xc0", Kind("Windows event trace (ETL)", "convert it with etl2pcapng", is_capture=True)),
    # Magic numbers that libpcap's sf-pcap.c reserves, without saying what follows.
    (0, b"\xa1\xb2\x34\xcd", _variant("F. Mesquita")),
    (0, b"\xcd\x34\xb2\xa1", _variant("F. Mesquita")),
    (0, b"\xa1\x2b\x3c\x4d", _variant("Navtel")),
    (0, b"\x4d\x3c\x2b\xa1", _variant("Navtel")),
    # pcapng's first octets are chosen so that a transfer as text shows (section 4.1 of its draft).
    (0, b"\r\n\r\r\r\n", Kind("pcapng file damaged by a transfer as text", _AGAIN, is_capture=True)),
    (0, b"\n\r\n", Kind("pcapng file damaged by a transfer as text", _AGAIN, is_capture=True)),
    (0, b"\n\n\n\n", Kind("pcapng file damaged by a transfer as text", _AGAIN, is_capture=True)),
    # Archives and compression that we do not undo.
    (0, b"PK\x03\x04", Kind("zip archive", _UNPACK)),
    (0, b"PK\x05\x06", Kind("empty zip archive")),
    (0, b"7z\xbc\xaf\x27\x1c", Kind("7-Zip archive", _UNPACK)),
    (0, b"Rar!\x1a\x07", Kind("RAR archive", _UNPACK)),
    (257, b"ustar", Kind("tar archive", "unpack it first: tar -xf {name}")),
    (0, b"\x04\x22\x4d\x18", Kind("file compressed with lz4", "decompress it first: lz4 -dc {name}")),
    (0, b"\x1f\x9d", Kind("file compressed with compress", "decompress it first: gzip -dc {name}")),
    (0, b"LZIP", Kind("file compressed with lzip", "decompress it first: lzip -dc {name}")),
    # Everything else that is found in folders of captures.
    (0, b"ElfFile\0", Kind("Windows event log (EVTX)")),
    (0, b"LPKSHHRH", Kind("systemd journal")),
    (0, b"\x7fELF", Kind("ELF program or library")),
    (0, b"MZ", Kind("Windows program")),
    (0, b"\x89PNG\r\n\x1a\n", Kind("PNG image")),
    (0, b"\xff\xd8\xff", Kind("JPEG image")),
    (0, b"GIF8", Kind("GIF image")),
    (0, b"%PDF-", Kind("PDF document")),
    (0, b"SQLite format 3\0", Kind("SQLite database")),
    (0, b"PAR1", Kind("Parquet table")),
    (0, b"ARROW1\0\0", Kind("Arrow table")),
    (0, b"\x89HDF\r\n\x1a\n", Kind("HDF5 file")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind("Microsoft Office document")),
)

_FROM_FRAMES = "give the capture that it was made from"
_TCPDUMP = re.compile(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d{6} (IP6?|ARP|\w+ (In|Out|M|B|P) +)")
_HEX_DUMP = re.compile(r"\s*(0x)?[0-9a-f]{4,8}:?\s+([0-9a-f]{2}\s?){8}", re.IGNORECASE)
_TSHARK = re.compile(r"\s*\d+\s+\d+\.\d+ \S+ (→|->) \S+ ")

#: What a text begins with -> what it is. The first that matches.
TEXTS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"<\?xml.*<pdml", re.DOTALL), Kind("PDML (what tshark wrote of a capture)", _FROM_FRAMES)),
    (re.compile(r"<\?xml.*<psml", re.DOTALL), Kind("PSML (what tshark wrote of a capture)", _FROM_FRAMES)),
    (re.compile(r"<(!doctype\s+html|html|head|body)\b", re.IGNORECASE), Kind("HTML page", "download the file itself")),
    (re.compile(r"<\?xml|<!--|<\w+[\s>]"), Kind("XML text")),
    (re.compile(r'\[\s*\{\s*"_index"'), Kind("JSON (what tshark wrote of a capture)", _FROM_FRAMES)),
    (re.compile(r'[{\[]\s*(["{\[\]}]|-?\d|true|false|null|$)'), Kind("JSON text")),
    (re.compile(r"#separator \\x09"), Kind("Zeek log", _FROM_FRAMES)),
    (_TCPDUMP, Kind("text that tcpdump printed", "save the frames themselves: tcpdump -w FILE")),
    (_TSHARK, Kind("text that tshark printed", "save the frames themselves: tshark -w FILE")),
    (_HEX_DUMP, Kind("hex dump", "make a capture of it: text2pcap {name} capture.pcapng")),
    (re.compile(r"version https://git-lfs"), Kind("Git LFS pointer", "fetch the file itself: git lfs pull")),
    (re.compile(r"#!"), Kind("script")),
    (re.compile(r'"?[\w. -]+"?(,"?[^,\n]*"?){2,}\r?\n'), Kind("CSV text")),
)  # fmt: skip


def kind_of(start: bytes) -> Kind | None:
    """Tell what a file is that begins with `start` (SAMPLE_OCTETS of it, or all); None if it cannot be told."""
    for offset, magic, kind in MAGICS:
        if start.startswith(magic, offset):
            return kind
    if not start.strip(b"\0"):
        return Kind("nothing but zeros", "the file was never written, or not wholly copied")
    text, encoding = _text(start)
    if text is None:
        return None
    shown = text.lstrip("\ufeff \t\r\n")
    for pattern, kind in TEXTS:
        if pattern.match(shown):
            return Kind(f"{kind.what}{encoding}", kind.advice)
    return Kind(f"text{encoding}")


def _text(start: bytes) -> tuple[str | None, str]:
    """Return the octets as text, and what to say of their encoding; no text if they are none."""
    for mark, codec, name in ((b"\xff\xfe", "utf-16-le", "UTF-16"), (b"\xfe\xff", "utf-16-be", "UTF-16")):
        if start.startswith(mark):
            text = start[2:].decode(codec, "replace")
            return (text, f" in {name}") if _is_printed(text) else (None, "")
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3:  # else the sample ends inside a character
            return None, ""
        text = start[: error.start].decode("utf-8")
    return (text, "") if _is_printed(text) else (None, "")


def _is_printed(text: str) -> bool:
    return all(char.isprintable() or char in "\t\r\n\f\x1b\ufeff" for char in text)
