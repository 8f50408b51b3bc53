"""Numbers, times and kinds in words, the same for every view.

In: integers and the kinds of the contract. Out: short English text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from handshake_inspect.quantities import duration, listed
from handshake_inspect.tcp.time_wait import PROFILES, SECOND_NS, Profile
from handshake_inspect.views.escape import printable

if TYPE_CHECKING:
    from handshake_inspect.connections.connection import Frame, Handshake

Clock = Literal["relative", "utc", "local"]

#: `handshake.kind` -> what happened, for a reader who sees the ladder above it. {o}, {r}: the two ends.
HANDSHAKE_SENTENCES = {
    "three-way": "SYN, SYN-ACK, ACK, and each acknowledgment is the other end's SYN number plus one",
    "simultaneous-open": "both ends sent a SYN before either saw the other's (RFC 9293, Figure 7)",
    "self-connect": "the socket connected to itself: one socket is both ends (RFC 9293, Figure 7)",
    "fast-open": "the SYN carried data and the SYN-ACK acknowledged it (RFC 7413)",
    "refused": "the SYN was answered by an RST: nobody listens on that port, or it was told to refuse",
    "unreachable": "an ICMP error that quotes the SYN came back",
    "unanswered": "nothing ever answered the SYN",
    "half-open": "{r} has answered the SYN and still waits for a valid acknowledgment of its own",
    "abandoned": "an RST ended it before {r} was proven ESTABLISHED",
    "invalid": "three segments were seen, but a number in them is wrong: see the ✗ above",
    "partial": "later numbers prove a handshake of which only some steps were captured",
    "not-captured": "the capture begins after the opening",
}

#: `teardown.kind` -> the same.
TEARDOWN_SENTENCES = {
    "four-way": "FIN, ACK, FIN, ACK: each end closed for itself, and each FIN was acknowledged by a segment of its own",
    "three-segment": "FIN, FIN-ACK, ACK: the second FIN carried the acknowledgment of the first",
    "simultaneous-close": "the FINs crossed: neither end had seen the other's when it sent its own"
    " (RFC 9293, Figure 13)",
    "half-closed": "one direction is closed and acknowledged, the other was still open at the end of the capture",
    "incomplete": "a FIN was sent, and nothing that is known to have arrived acknowledges it: TCP was stuck, or the"
    " capture ended",
    "partial": "a close of which only some segments were captured",
    "reset-after-fin": "an RST took effect after a FIN had been sent",
    "aborted": "an RST, and no FIN: its sender has no connection any more, nor has the other end once it arrives",
    "open": "no closing was seen: the connection was open when the capture ended",
    "none": "there was nothing to close: the connection never opened",
}

#: What can be counted, in the names of what is not read.
_COUNTABLE = re.compile(r"\b(header|fragment|frame|label|tag|packet)\b")
HANDSHAKE_KINDS = tuple(HANDSHAKE_SENTENCES)
TEARDOWN_KINDS = tuple(TEARDOWN_SENTENCES)


def frame_text(frame: Frame) -> str:
    """Return a frame as text: `12`, or `other.pcap:12` if it lies in another capture."""
    return str(frame) if isinstance(frame, int) else f"{printable(frame[0])}:{frame[1]}"


def assumption(profile: Profile) -> str:
    """Return the assumed length of TIME-WAIT, and another common one. Always printed with a time that depends on it."""
    other = PROFILES["linux" if profile.name == "rfc" else "rfc"]
    return f"{profile.assumption}; {other.assumption.partition(':')[0]}: {other.length_ns // SECOND_NS} s"


def octets(count: int) -> str:
    """Return a size in at most five characters and its unit: `812 B`, `1.6 MB`."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5:
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}" if size < 99.95 else f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.0f} PB"


def of_kind(count: int, kind: str) -> str:
    """Return the kind of `count` frames that were not read: `IPv4 fragment without the rest`, `truncated tags`."""
    return kind if count == 1 else _COUNTABLE.sub(r"\1s", kind, count=1)


def moment(time_ns: int, clock: Clock) -> str:
    """Return a point in time with its date: `2026-11-21 06:15:41.123456 UTC`."""
    second, micros = time_ns // 1_000_000_000, time_ns % 1_000_000_000 // 1000
    if clock == "utc":
        return f"{_utc(second)}.{micros:06d} UTC"
    at = datetime.fromtimestamp(second, UTC).astimezone()
    return f"{at:%Y-%m-%d %H:%M:%S}.{micros:06d} {at:%Z}"


@lru_cache(maxsize=1 << 10)
def _utc(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}"


def time_of_day(time_ns: int, clock: Clock) -> str:
    """Return the time without its date: `06:15:41.123456`."""
    return moment(time_ns, clock).split(" ")[1]


def nearest(word: str, known: list[str]) -> str:
    """Return ` Did you mean x?` for a mistyped word, "" if nothing known is like it, in whatever letters."""
    from difflib import get_close_matches

    spelled = {one.casefold(): one for one in known}
    matches = [spelled[one] for one in get_close_matches(word.casefold(), spelled, n=3, cutoff=0.55)]
    return f" Did you mean {listed(matches, 'or')}?" if matches else ""


def round_trip(opening: Handshake) -> str:
    """Say how long SYN to third segment took: at most that is a round trip where a copy may have been answered.

    After a retransmission of SYN or SYN-ACK nobody can tell which one was (Karn; RFC 6298 §3).
    """
    if opening.initial_rtt_ns is None:
        return "-"
    return f"{'≤ ' if opening.rtt_ambiguous else ''}{duration(opening.initial_rtt_ns)}"
