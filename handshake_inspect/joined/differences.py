"""How one segment differs between sending and arrival, in words.

In: a `Comparison`, and a segment that both places saw. Out: (what, before, after).
"""

from __future__ import annotations

from collections.abc import Iterator

from handshake_inspect.connections.splitting.rows import flag_names
from handshake_inspect.joined.changes import BIT
from handshake_inspect.joined.comparison import Comparison
from handshake_inspect.tcp.options import Options, parse


def differences(comparison: Comparison, place: int, *, to_second: bool) -> Iterator[tuple[str, str, str]]:
    """Yield what changed of the matched segment at this place of the `Matching`: before, and after.

    Sockets and initial numbers are not among it: they change for all.
    """
    first, second, matching = comparison.first, comparison.second, comparison.matching
    a, b = int(matching.first[place]), int(matching.second[place])
    bits = int(comparison.changes.of_segment[place])
    left, right = matching.left, matching.right

    def ordered(here: object, there: object) -> tuple[str, str]:
        return (str(here), str(there)) if to_second else (str(there), str(here))

    if bits & BIT["options"]:
        lists = (
            place.inspection.connections.names.options[int(place.seen["options"][row])]
            for place, row in ((first, a), (second, b))
        )
        for name, here, there in compare_options(*lists):
            yield (name, *ordered(here, there))
    stamps = int(left.timestamp[a]), int(right.timestamp[b])
    if bits & BIT["options"] and min(stamps) < 0:
        bits &= ~BIT["timestamps"]  # said as an option of the SYN
    for what, here, there in (
        ("timestamps", *map(_stamp, stamps)),
        ("TTL", first.seen["ttl"][a], second.seen["ttl"][b]),
        ("window", left.window[a], right.window[b]),
        ("control bits", flag_names(int(left.flags[a])) or "none", flag_names(int(right.flags[b])) or "none"),
        ("IP identification", left.ip_id[a], right.ip_id[b]),
        ("seq", left.seq[a], right.seq[b]),
        ("ack", left.ack[a], right.ack[b]),
        ("length", left.payload[a], right.payload[b]),
    ):
        if bits & BIT[what]:
            yield (what, *ordered(here, there))


def _stamp(value: int) -> str:
    return "none" if value < 0 else str(value)


def compare_options(here: bytes, there: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield the options in which two lists differ; if only order or padding differ, their octets."""
    one, other = _spelled(parse(here)), _spelled(parse(there))
    different = [(name, one[name], other[name]) for name in one if one[name] != other[name]]
    yield from different or [("options", here.hex(" "), there.hex(" "))]


def _spelled(options: Options) -> dict[str, str]:
    """Return what a SYN offers as text, option by option."""
    said = {
        "MSS": options.mss,
        "window scale": options.window_scale,
        "SACK": "permitted" if options.sack_permitted else None,
        "timestamps": "offered" if options.timestamps else None,
        "Fast Open": None if options.fast_open_cookie is None else options.fast_open_cookie.hex() or "request",
        "signature": options.signature,
        "MPTCP": None if options.mptcp is None else options.mptcp.hex(),
    }
    return {name: "none" if value is None else str(value) for name, value in said.items()}
