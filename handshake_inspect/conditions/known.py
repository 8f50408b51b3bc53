"""The fields that an expression may name, and what is meant by other names and by text without quotes.

In: names as people write them. Out: `KNOWN`, the fields of the JSON contract and those derived from them; advice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

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
