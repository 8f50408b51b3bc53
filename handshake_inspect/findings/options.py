"""What a SYN and its answer offer: options agreed on, declined or spoiled. Read RFC 9293 §3.2 and RFC 7323 first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.splitting.rows import ACK
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.offers import lacking, sent_otherwise
from handshake_inspect.findings.option_lists import by_offers
from handshake_inspect.findings.rule import CHAT, NOTE, WARN, rule
from handshake_inspect.quantities import listed
from handshake_inspect.tcp.options import SHIFT_MAX, Options

#: Without window scale a window has 16 bits (RFC 9293 §3.1).
WIDEST_UNSCALED_OCTETS = 65_535
#: In a round trip of 1 ms 65,535 octets are 525 Mbit/s: longer ones are slower than many links.
LONG_ROUND_TRIP_NS = 1_000_000
#: Names of kinds that can be malformed.
KIND_NAMES = {
    2: "MSS", 3: "window scale", 4: "SACK-permitted", 5: "SACK", 8: "timestamps", 19: "MD5 signature",
    28: "user timeout", 29: "TCP-AO", 30: "Multipath TCP", 34: "Fast Open",
}  # fmt: skip


@rule("options-declined", CHAT, example="sack-declined.pcap")
def options_declined(e: Evidence) -> Iterator[FindingRows]:
    """One end offered window scale, SACK or timestamps, and the other one did not.

    What it means. Each of these works only if both SYNs have it. The server has it switched off or does not know it, a
    box on the way took it out, or the server answered with a SYN cookie, which has no room to remember it.

    Why it matters. Without SACK each loss costs a round trip; without window scale no more than 65,535 octets are on
    their way at a time; without timestamps old duplicates are not told apart on a fast link (PAWS), and TIME-WAIT is
    not reopened by a newer timestamp (RFC 6191).

    Reported when. The SYN has one of the three options, and the SYN-ACK does not.

    Not reported when. The SYN or the SYN-ACK was not captured, or the SYN was sent again with other options: which of
    them was answered cannot be told (`syn-options-dropped`).

    Source. RFC 7323 §2.2, §3.2; RFC 2018 §2; RFC 4987 §3.6. tcptrace marks window scale of one side only.
    """
    declined = list(by_offers(e, lambda syn, answer: (syn and answer and lacking(syn, answer)) or None))
    if not declined:
        return
    again = sent_otherwise(e)
    for names, at in declined:
        at = at[~again[at]]
        yield e.found(
            f"the {{offers:end}} offered {listed(names)}, the {{declines:end}} did not",
            at,
            *e.syns_of(at),
            offers=np.zeros_like(at),
            declines=np.ones_like(at),
        )


@rule("window-unscaled", CHAT, by_times=True, example="window-scale-declined.pcap")
def window_unscaled(e: Evidence) -> Iterator[FindingRows]:
    """Without window scale the windows limit how fast data go over this path.

    What it means. The option counts only if both SYNs have it. Without it a window has 16 bits: no end can have more
    than 65,535 octets on their way that are not acknowledged.

    Why it matters. One window per round trip is the most that passes, whatever the links could do.

    Reported when. A SYN and its answer were captured, one of them lacks the option, and the handshake took 1 ms or
    more: 65,535 octets in 1 ms are 525 Mbit/s.

    Not reported when. The handshake was shorter, or not measured, or a SYN or SYN-ACK was sent again: then it does not
    measure the path (Karn).

    Source. RFC 7323 §1.1, §2.2.
    """
    table = e.table
    measured = table["initial_rtt_ns"] >= LONG_ROUND_TRIP_NS
    if not measured.any():
        return
    measured &= (table["syn_retransmissions"] == 0) & (table["syn_ack_retransmissions"] == 0)
    for scales, at in by_offers(e, _scales):
        at = at[measured[at]]
        who = "only the {side:end} offers" if scales else "neither end offers"
        rate = WIDEST_UNSCALED_OCTETS * 1_000_000_000 // table["initial_rtt_ns"][at]
        for fits, unit, name in ((rate >= 1_000_000, 1_000_000, "MB/s"), (rate < 1_000_000, 1_000, "kB/s")):
            some = at[fits]
            yield e.found(
                f"{who} window scale: at most 65,535 octets per round trip, {{rate}} {name} if that takes the"
                " {took:duration} of the handshake",
                some,
                *e.syns_of(some),
                side=np.full_like(some, sum(scales)),
                took=table["initial_rtt_ns"][some],
                rate=rate[fits] // unit,
            )


@rule("window-scale-above-14", NOTE, example="window-scale-15.server.pcap")
def window_scale_above_14(e: Evidence) -> Iterator[FindingRows]:
    """A SYN offers to shift windows by more than the 14 bits that are allowed.

    What it means. Its sender has a bug or is a tool. The receiver must take the number for 14.

    Why it matters. An end that does take it as it stands believes in a window that is at least twice what was meant.

    Reported when. The window scale option of a SYN or SYN-ACK is above 14.

    Not reported when. It is 14: a window of 1 GiB is allowed.

    Source. RFC 7323 §2.3. Zeek TCP_scale_range, Wireshark tcp.options.wscale.shift.invalid.
    """
    for shifts, at in by_offers(e, _too_large_shifts):
        for side, shift in shifts:
            yield e.found(
                "the {who:end} offers to shift its windows by {shift:d} bits: taken for 14",
                at,
                e.syns_of(at)[side],
                who=np.full_like(at, side),
                shift=np.full_like(at, shift),
            )


@rule("timestamps-missing", WARN, example="timestamps-dropped.server.pcap", needs=ACK)
def timestamps_missing(e: Evidence) -> Iterator[FindingRows]:
    """Timestamps were agreed on, and the segments that follow have none.

    What it means. Once both SYNs have timestamps, every segment but an RST must have them. A box on the way takes them
    out of what follows the handshake, or an end does not keep to the agreement.

    Why it matters. The receiver should drop a segment without the option (RFC 7323 §3.2), and then the connection hangs
    after an opening in which all was well. Linux takes such segments all the same.

    Reported when. Both SYNs have the option, and an end's first segment after its SYN does not.

    Not reported when. That segment is an RST. Later segments are not looked at.

    Source. RFC 7323 §3.2.
    """
    for _, at in by_offers(e, lambda syn, answer: (syn and answer and syn.timestamps and answer.timestamps) or None):
        agreed, first = np.zeros(len(e), np.bool_), e.numbers.ack_row
        agreed[at] = True
        ends = np.flatnonzero((e.rows.has_timestamps.take(first) == 0) & (first >= 0))
        ends = ends[agreed[ends >> 1]]
        yield e.found(
            "timestamps were agreed on, and the {who:end}'s first segment after its SYN has none",
            ends >> 1,
            e.numbers.syn_row[ends],
            first[ends],
            who=ends & 1,
        )


@rule("options-malformed", WARN, example="malformed-option.server.pcap")
def options_malformed(e: Evidence) -> Iterator[FindingRows]:
    """A SYN has an option with a length that it cannot have.

    What it means. Its sender has a bug, or wants to break the receiver: reading such lists has crashed devices
    (CVE-2019-12260 of "URGENT/11" is a TCP-AO option of 3 octets).

    Why it matters. The receiver ignores the option and what follows it, drops the segment, or falls over.

    Reported when. An option of a known kind has another length than its RFC allows, or any has a length below 2.

    Not reported when. An option of an unknown kind ends behind the list: the capture may have cut the frame.

    Source. RFC 9293 §3.2; RFC 7323 §2.2, §3.2; RFC 2018 §2; RFC 5925 §2.2. Zeek tcp_option_*_invalid_len, Suricata
    decoder.tcp.opt_invalid_len.
    """
    for broken, at in by_offers(e, _malformed):
        for side, kind, length in broken:
            name = f" ({KIND_NAMES[kind]})" if kind in KIND_NAMES else ""
            yield e.found(
                f"option {kind}{name} on the SYN of the {{who:end}} is {{length:octets}} long, which it must not be",
                at,
                e.syns_of(at)[side],
                who=np.full_like(at, side),
                length=np.full_like(at, length),
            )


def _scales(syn: Options | None, answer: Options | None) -> tuple[int, ...] | None:
    """Return which ends offer window scale, unless both do."""
    if syn is None or answer is None:
        return None
    sides = tuple(side for side, one in enumerate((syn, answer)) if one.window_scale is not None)
    return sides if len(sides) < 2 else None


def _too_large_shifts(syn: Options | None, answer: Options | None) -> tuple[tuple[int, int], ...] | None:
    """Return side and shift of the SYNs with one that is not allowed."""
    shifts = ((side, one.window_scale or 0) for side, one in enumerate((syn, answer)) if one is not None)
    return tuple((side, shift) for side, shift in shifts if shift > SHIFT_MAX) or None


def _malformed(syn: Options | None, answer: Options | None) -> tuple[tuple[int, int, int], ...] | None:
    """Return side, kind and length of the malformed option."""
    sides = ((side, one.malformed) for side, one in enumerate((syn, answer)) if one is not None)
    return tuple((side, *found) for side, found in sides if found is not None) or None
