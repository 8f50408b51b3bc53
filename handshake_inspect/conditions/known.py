"""The fields that an expression may name, what they can never be, and what is meant by other names and text.

In: names and values as people write them. Out: `KNOWN`, the fields of the JSON contract and those derived from them;
reasons and advice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from ipaddress import ip_address, ip_network

from handshake_inspect.quantities import listed
from handshake_inspect.views.fields import FIELDS, Kind, subfields
from handshake_inspect.views.words import nearest

#: Not in the JSON, because two of its fields say the same: `last_ns` - `first_ns`, null if the clock was set meanwhile.
DERIVED: Mapping[str, Kind] = {"duration": "number"}
KNOWN: Mapping[str, Kind] = {**FIELDS, **DERIVED}

#: Fields meant by the headings of our own tables and by names of other tools.
MEANT: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("port", "ports"), ("originator.port", "responder.port")),
    **dict.fromkeys(("host", "ip", "address", "addr", "net"), ("originator.ip", "responder.ip")),
    **dict.fromkeys(("client", "src", "source"), ("originator.ip",)),
    **dict.fromkeys(("server", "dst", "destination"), ("responder.ip",)),
    **dict.fromkeys(("sport", "srcport"), ("originator.port",)),
    **dict.fromkeys(("dport", "dstport"), ("responder.port",)),
    **dict.fromkeys(("originator → responder",), ("originator.ip", "responder.ip")),
    **dict.fromkeys(("rtt", "initial_rtt", "round_trip"), ("handshake.initial_rtt_ns",)),
    **dict.fromkeys(("lasted", "duration_ns", "length", "time"), ("duration",)),
    **dict.fromkeys(("bytes", "octets → / ←", "size"), ("octets.originator", "octets.responder")),
    **dict.fromkeys(("opened", "opening"), ("handshake.kind",)),
    **dict.fromkeys(("closed", "closing"), ("teardown.kind",)),
    **dict.fromkeys(("closed first", "closed_first"), ("teardown.closed_first",)),
    **dict.fromkeys(("state", "now"), ("states.originator", "states.responder")),
    **dict.fromkeys(("finding", "code", "notes"), ("findings.code",)),
    **dict.fromkeys(("start", "began", "first"), ("first_ns",)),
    **dict.fromkeys(("end", "ended", "last"), ("last_ns",)),
    **dict.fromkeys(("#", "number", "id"), ("stream",)),
    **dict.fromkeys(("file",), ("capture",)),
}
#: Options that say the same about either end.
OPTIONS = {"port": "--port", "ports": "--port", **dict.fromkeys(("host", "ip", "address", "addr", "net"), "--net")}

ADDRESSES = ("originator.ip", "responder.ip")
#: The least and the greatest that numbers can be; times may lie before 1970, and clocks go back.
RANGES: Mapping[str, tuple[int, int | None]] = {
    **{name: (0, None) for name, kind in FIELDS.items() if kind == "number" and not name.endswith("_ns")},
    **dict.fromkeys(("originator.port", "responder.port"), (0, 0xFFFF)),
    **{f"handshake.options.{end}.mss": (0, 0xFFFF) for end in ("originator", "responder")},
    **{f"handshake.options.{end}.window_scale": (0, 0xFF) for end in ("originator", "responder")},
    "ip_version": (4, 6),
    "completeness": (0, 63),
}

#: What may be text without its quotes, up to a blank, a bracket or a sign.
_BARE = re.compile(r"[\w.:/%-]+")
#: Of text that begins with a digit: an address or a network. A number has one point at most.
_ADDRESS = re.compile(r"\d+(\.\d+){2,}(/\d+)?|[0-9a-fA-F]*:[0-9a-fA-F:.]+(/\d+)?|\d[\d.]*/\d+")


def advice(name: str, *, may_be_text: bool) -> str:
    """Return what was meant by a name that is no field, behind "there is no field x": "" if nobody can tell."""
    word = name.casefold()
    if word in MEANT:
        option = f"; {OPTIONS[word]} is for either end" if word in OPTIONS else ""
        return f"; that is {listed([*MEANT[word]], 'or')}{option}"
    quotes = f' Text stands in quotes, as in "{name}"' if may_be_text and "." not in name else ""
    meant = f"{nearest(name, list(KNOWN))}{quotes}"
    return f".{meant}" if meant else ""


def bare(text: str, start: int, token: str, beside: str) -> str:
    """Return the text without quotes that begins at `start` of an expression; "" if it may be a field or a number.

    `token`: what the parser takes there. `beside`: the field it is compared with, "" if it is with none.
    """
    found = _BARE.match(text, start)
    whole = found[0].rstrip(".") if found else ""
    if token[:1].isdigit():
        return whole if _ADDRESS.fullmatch(whole) else ""
    if not token[:1].isalpha() or token in KNOWN or subfields(token) or subfields(token.split(".")[0]):
        return ""
    is_compared = bool(beside) and KNOWN[beside] in ("text", "list")
    return whole if whole != token or is_compared else ""


def never(name: str, sign: str, value: object) -> str:
    """Return why a comparison of a field, `name sign value`, is never true; "" if it may be."""
    if isinstance(value, str):
        return never_address(name, value) if name in ADDRESSES and sign == "==" else ""
    if not isinstance(value, int | Fraction) or isinstance(value, bool) or KNOWN[name] != "number":
        return ""
    least, greatest = RANGES.get(name, (None, None))
    span = f"{least} or more" if greatest is None else f"from {least} to {greatest}"
    if sign == "==" and value != int(value):
        return f"{name} is a whole number"
    too_small = least is not None and (value <= least if sign == "<" else sign in ("==", "<=") and value < least)
    too_great = greatest is not None and (
        value >= greatest if sign == ">" else sign in ("==", ">=") and value > greatest
    )
    return f"{name} is {span}" if too_small or too_great else ""


def never_address(name: str, text: str) -> str:
    """Return why no address is written like this text; "" if one is."""
    try:
        address = ip_address(text)
    except ValueError:
        try:
            ip_network(text, strict=False)
        except ValueError:
            return f"{name} is an address of IPv4 or IPv6, and {text} is none"
        return f"{name} is an address, not a network: use --net {text}"
    if address.version == 6 and address.ipv4_mapped is not None:
        return ""  # of these there are two spellings (RFC 5952 §5)
    return "" if str(address) == text else f"{name} is written {address}"
