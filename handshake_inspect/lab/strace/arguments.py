"""The text of a system call's arguments, as strace(1) writes it, understood.

In: `3<TCP:[127.0.0.1:40000->127.0.0.1:8000]>, "BITH\\n"..., 512, 0, NULL, NULL`. Out: the arguments one by one; strings
as octets; socket addresses as this project spells them (an IPv4 address that is mapped into IPv6 as IPv4, as on the
wire); descriptors with what -y or -yy tell of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

STRING = r'"(?:[^"\\]++|\\.)*+"(?:\.\.\.)?'
#: Behind a descriptor; "<" and ">" in the names of files are escaped by strace.
DECORATION = r"<(?:[^<>-]++|->|-(?!>)|<[^<>]*+>)*+>"
TOKEN = re.compile(rf"{STRING}|(?<=\d){DECORATION}|.", re.DOTALL)
DESCRIPTOR = re.compile(rf"(\d+)({DECORATION})?")
INODE = re.compile(r"<(?P<protocol>[\w-]+):\[(?P<inode>\d+)\]>")
ENDS = re.compile(r"<(?P<protocol>TCP|TCPv6|MPTCP|MPTCPv6):\[(?P<local>[^<>]*?)(?:->(?P<peer>[^<>]*))?\]>")
#: What stands before an inode: -y says only that it is a socket, -yy which protocol's.
MAY_BE_TCP = ("socket", "TCP", "TCPv6", "MPTCP", "MPTCPv6")
ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|[0-7]{1,3}|.)", re.DOTALL)
ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}
IPV4 = re.compile(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\(("[^"]*")\)')
IPV6 = re.compile(r'sin6_port=htons\((\d+)\), .*?inet_pton\(AF_INET6, ("[^"]*"), &sin6_addr\)')
BUFFERS = re.compile(rf"iov_base=({STRING})")
SIZES = re.compile(r"iov_len=(\d+)")


@dataclass(frozen=True)
class Descriptor:
    """A descriptor, and its socket if strace was asked for that."""

    number: int
    inode: int | None = None
    #: Both addresses of a TCP socket, "" if not told.
    local: str = ""
    peer: str = ""
    #: Is it known to be something else than a TCP socket?
    is_foreign: bool = False


def split(arguments: str) -> list[str]:
    """Return the arguments; commas in strings and in brackets do not separate them."""
    found, depth = [""], 0
    for token in TOKEN.findall(arguments):
        depth += (token in "([{") - (token in ")]}")
        if token == "," and depth == 0:
            found.append("")
        else:
            found[-1] += token
    return [one.strip() for one in found]


def descriptor(text: str) -> Descriptor | None:
    """Return the descriptor that an argument or a result is; None if it is none."""
    found = DESCRIPTOR.match(text)
    if found is None:
        return None
    number, decoration = int(found.group(1)), found.group(2)
    if decoration is None:
        return Descriptor(number)
    if inode := INODE.fullmatch(decoration):
        return Descriptor(number, int(inode.group("inode")), is_foreign=inode.group("protocol") not in MAY_BE_TCP)
    if ends := ENDS.fullmatch(decoration):
        return Descriptor(number, local=pair(ends.group("local")), peer=pair(ends.group("peer") or ""))
    return Descriptor(number, is_foreign=True)


def pair(text: str) -> str:
    """Spell an address of -yy, "[::1]:8000", as addresses are spelled here."""
    host, _, port = text.rpartition(":")
    return spell(host.strip("[]"), port) if host else ""


def spell(host: str, port: str | int) -> str:
    """Spell an address and a port: 127.0.0.1:8000, [::1]:8000; "" if the host is none."""
    known = spell_host(host)
    return f"{known}:{port}" if known else ""


@lru_cache
def spell_host(host: str) -> str:
    """Spell the address of a host, in brackets if it is one of IPv6."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return f"[{address}]" if address.version == 6 else str(address)


def socket_address(struct: str) -> str:
    """Return the address in a `struct sockaddr` of IPv4 or IPv6; "" if it has none."""
    found = IPV4.search(struct) or IPV6.search(struct)
    return spell(octets(found.group(2)).decode("ascii", "replace"), found.group(1)) if found else ""


def octets(quoted: str) -> bytes:
    """Return the octets of a string literal; only the beginning of one that strace cut."""
    inner = quoted[1 : quoted.rindex('"')].encode("utf-8", "surrogateescape")
    return ESCAPE.sub(_unescaped, inner)


def _unescaped(found: re.Match[bytes]) -> bytes:
    said: bytes = found.group(1)
    if said[:1] == b"x" and len(said) == 3:
        return bytes([int(said[1:], 16)])
    if b"0" <= said[:1] <= b"7":
        return bytes([int(said, 8) & 0xFF])
    return ESCAPED.get(said, said)


def buffers(iov: str) -> tuple[bytes, int]:
    """Return the octets of a list of buffers, as far as they are shown, and how many it has room for."""
    return b"".join(map(octets, BUFFERS.findall(iov))), sum(map(int, SIZES.findall(iov)))
