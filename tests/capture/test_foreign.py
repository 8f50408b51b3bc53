"""A wrong file is named for what it is, also inside compression, with what to do about it."""

from __future__ import annotations

import gzip
import io
import lzma
import struct

import pytest

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.formats.foreign import MAGICS
from handshake_inspect.capture.records import CaptureError

TCPDUMP = b"12:34:56.789012 IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [S], seq 1, win 64240, length 0\n"
TSHARK = "    1   0.000000 10.0.0.1 → 10.0.0.2     TCP 74 80 → 1234 [SYN] Seq=0\n".encode()
ETL = struct.pack("<I", 65536).ljust(72, b"\0") + b"\x02\0\x02\xc0" + bytes(40)
FILES: dict[bytes, str] = {
    b'{"name": 1}': "not a capture: JSON text",
    b'[\n  {"_index": "packets-2024-01-01"}]': "not a capture: JSON (what tshark wrote of a capture)",
    b"[]\n": "not a capture: JSON text",
    b"<!DOCTYPE html>\n<html>": "not a capture: HTML page; download the file itself",
    b"\xef\xbb\xbf\n<html lang=en>": "not a capture: HTML page; download the file itself",
    b"<?xml version='1.0'?>\n<pdml version='0'>": "not a capture: PDML",
    b"<?xml version='1.0'?><svg>": "not a capture: XML text",
    b"\x7fELF\x02\x01\x01": "not a capture: ELF program or library",
    b"\x89PNG\r\n\x1a\n\0\0": "not a capture: PNG image",
    b"\xff\xd8\xff\xe0": "not a capture: JPEG image",
    b"%PDF-1.7\n": "not a capture: PDF document",
    b"PK\x03\x04\x14\0": "not a capture: zip archive; unpack it first",
    b"x.pcap".ljust(257, b"\0") + b"ustar\00000": "not a capture: tar archive; unpack it first: tar -xf x.bin",
    b"SQLite format 3\0\x10\0": "not a capture: SQLite database",
    b"PAR1\x15\0": "not a capture: Parquet table",
    b"\x04\x22\x4d\x18\x64": "not a capture: file compressed with lz4; decompress it first: lz4 -dc x.bin",
    TCPDUMP: "not a capture: text that tcpdump printed; save the frames themselves: tcpdump -w FILE",
    b"2024-01-02 " + TCPDUMP: "not a capture: text that tcpdump printed",
    TSHARK: "not a capture: text that tshark printed",
    b"0000  45 00 00 3c 1c 46 40 00 40 06  E..<.F@.@.\n": "not a capture: hex dump; make a capture of it: text2pcap",
    b"00000000: 4500 003c 1c46 4000 4006 b1e6  E..<.F@.@\n": "not a capture: hex dump",
    b"a,b,c\n1,2,3\n": "not a capture: CSV text",
    "a,b,c\n1,2,3\n".encode("utf-16"): "not a capture: CSV text in UTF-16",
    "{}".encode("utf-16-be").rjust(6, b"\xff").replace(b"\xff\xff", b"\xfe\xff"): "not a capture: JSON text in UTF-16",
    b"Dear diary,\n": 'not a capture: text, begins with "Dear dia"',
    "Älteste Grüße".encode(): "not a capture: text, begins with",
    bytes(5000): "not a capture: nothing but zeros; the file was never written, or not wholly copied",
    b"": "empty",
    b"GMBU\0\x02": "Microsoft Network Monitor 2 capture, which is not read; convert it with `editcap -F pcapng x.bin ",
    b"TRSNIFF data    \x1a": "Sniffer (DOS) capture, which is not read; convert it with `editcap",
    b"XCP\x00002.001": "NetXRay or Sniffer (Windows) capture, which is not read; convert",
    b"iptrace 2.0": "AIX iptrace capture, which is not read; convert",
    b"\xaa\xaa\xaa\xaa\0\0\x01\0": "InfoVista 5View capture, which is not read; convert",
    b"btsnoop\0\0\0\0\x01": "Bluetooth capture (btsnoop), which is not read; it holds no TCP",
    ETL: "Windows event trace (ETL), which is not read; convert it with etl2pcapng",
    b"ElfFile\0\0\0": "not a capture: Windows event log (EVTX)",
    b"\0\0\x02\0\x12\x05\0\x10": "Tektronix K12 capture, which is not read; convert",
    b"\xa1\xb2\x34\xcd\0\x02\0\x04": "pcap variant of F. Mesquita, which is not read; its records are documented",
    b"\x4d\x3c\x2b\xa1\x02\0\x04\0": "pcap variant of Navtel, which is not read",
    b"\r\n\r\r\r\n\x1c\0\0\0": "pcapng file damaged by a transfer as text, which is not read; copy it again",
    b"\x91\x12\x00\xfe\xba\xbe\x99\x98": 'not a capture: begins with "91 12 00 fe ba be 99 98", expected a pcap',
}  # fmt: skip


@pytest.mark.parametrize("octets", FILES, ids=lambda octets: repr(octets[:12]))
def test_a_wrong_file_is_named_in_one_line(octets: bytes) -> None:
    with pytest.raises(CaptureError) as refused:
        open_capture(io.BytesIO(octets), name="x.bin")
    assert str(refused.value).startswith(f"x.bin: {FILES[octets]}")
    assert "\n" not in str(refused.value)


def test_so_is_what_is_inside_compression() -> None:
    for octets, said in (
        (gzip.compress(b'{"a": 1}'), "x.json.gz: not a capture: JSON text inside gzip"),
        (lzma.compress(gzip.compress(b"<html>")), "x.json.gz: not a capture: HTML page inside gzip inside xz"),
        (gzip.compress(b""), "x.json.gz: empty inside gzip"),
        (gzip.compress(b"GMBU\0\2"), "x.json.gz: Microsoft Network Monitor 2 capture inside gzip, which is not read"),
        (gzip.compress(b"\x9d\0\1\2\3"), 'x.json.gz: not a capture inside gzip: begins with "9d 00 01 02 03"'),
    ):
        with pytest.raises(CaptureError) as refused:
            open_capture(io.BytesIO(octets), name="x.json.gz")
        assert str(refused.value).startswith(said)


def test_no_magic_hides_another_and_none_is_one_of_a_format_that_is_read() -> None:
    from handshake_inspect.capture.compressed import compression_of
    from handshake_inspect.capture.formats import pcap, snoop
    from handshake_inspect.capture.formats.pcapng.blocks import SECTION_MAGIC

    begins = [(offset, magic) for offset, magic, _ in MAGICS]
    assert len(set(begins)) == len(begins)
    for index, (offset, magic) in enumerate(begins):
        assert not any(offset == other and magic.startswith(before) for other, before in begins[:index])
        if offset == 0:
            assert magic[:4] not in pcap.MAGIC
            assert magic[:4] not in (SECTION_MAGIC, snoop.MAGIC[:4])
            assert compression_of(magic.ljust(13, b"\1")) is None


def test_names_with_braces_stay_as_they_are() -> None:
    with pytest.raises(CaptureError, match=r"^\{0\}\.cap: .*editcap -F pcapng \{0\}\.cap "):
        open_capture(io.BytesIO(b"GMBU"), name="{0}.cap")
