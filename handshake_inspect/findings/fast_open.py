"""Data on the SYN, with and without Fast Open (RFC 9293 §3.4, RFC 7413)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.splitting.rows import ACK, ORIGINATOR
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.option_lists import is_cut, of_lists
from handshake_inspect.findings.rule import CHAT, NOTE, rule
from handshake_inspect.tcp.options import Options


@rule("syn-with-data", NOTE, example="syn-with-data.server.pcap")
def syn_with_data(e: Evidence) -> Iterator[FindingRows]:
    """A SYN carries data, and does not ask for Fast Open.

    What it means. RFC 9293 allows it: the data wait until the handshake is over. Common stacks do not send it, and do
    not keep such data: a scanner, a probe of firewalls, or a generator of traffic does.

    Why it matters. The server need not acknowledge the data, then they must come again. Some filters drop such SYNs.

    Reported when. A SYN without ACK has payload and no Fast Open option.

    Not reported when. The option is there: see `fast-open`. Or it may be, in what the snapshot length cut.

    Source. RFC 9293 §3.4, §3.10.7.2 (third); RFC 7413 §2. Zeek SYN_with_data.
    """
    at = e.data_rows[e.is_syn.take(e.data_rows)]
    if not len(at):
        return
    at = at[(of_lists(e, _has_fast_open, e.rows.options[at]) == 0) & ~is_cut(e, e.rows.options[at])]
    connection, row, _ = e.first_of_each(at)
    answer = e.numbers.syn_ack_row[e.responder[connection]]
    kept = np.where(answer >= 0, e.rows.ack[answer] - 1, -1)
    told = (
        (kept < 0, "{octets:octets} on the SYN without Fast Open"),
        (kept == 0, "{octets:octets} on the SYN without Fast Open; the SYN-ACK acknowledges none of them"),
        (kept > 0, "{octets:octets} on the SYN without Fast Open; the SYN-ACK acknowledges {kept:octets}"),
    )
    yield from e.found_each(told, connection, row, answer, octets=e.rows.payload[row], kept=kept)


def _has_fast_open(options: Options) -> int:
    return int(options.fast_open_cookie is not None)


def _cookie_octets(options: Options) -> int:
    return -1 if options.fast_open_cookie is None else len(options.fast_open_cookie)


def _syns(e: Evidence) -> tuple[Rows, Rows, Rows, Rows]:
    """Return connections whose SYN has the option: the connection, SYN, length of the cookie, SYN-ACK or -1."""
    at, syn = np.flatnonzero(e.judged(lambda one: one.fast_open is not None)), e.numbers.bare_syn_row[ORIGINATOR::2]
    at = at[syn[at] >= 0]
    if not len(at):
        return at, at, at, at
    cookie = of_lists(e, _cookie_octets, e.rows.options[syn[at]])
    at, cookie = at[cookie >= 0], cookie[cookie >= 0]
    return at, syn[at], cookie, e.numbers.syn_ack_row[e.responder[at]]


@rule("fast-open-requested", CHAT, example="fast-open-requested.pcap")
def fast_open_requested(e: Evidence) -> Iterator[FindingRows]:
    """The client asks for a Fast Open cookie, to send data with its SYN next time.

    What it means. The option on the SYN is empty. A server that does Fast Open puts a cookie into its SYN-ACK; the
    client keeps it for the next connection to that address.

    Why it matters. Without a cookie in the answer the next connection saves no round trip: the server or its listener
    does not do Fast Open, or something on the way removes the option.

    Reported when. The SYN has the option without a cookie. It is said whether a cookie came back.

    Not reported when. The SYN carries a cookie (`fast-open`, `fast-open-declined`).

    Source. RFC 7413 §3, §4.1.1. Wireshark tcp.options.tfo.request.
    """
    at, syn, cookie, answer = e.shared(_syns)
    asks = cookie == 0
    at, syn, answer = at[asks], syn[asks], answer[asks]
    if not len(at):
        return
    given = np.where(answer >= 0, of_lists(e, _cookie_octets, e.rows.options[answer]), -1)
    cut = (answer >= 0) & (given <= 0) & is_cut(e, e.rows.options[answer])
    told = (
        (answer < 0, "the client asks for a Fast Open cookie; no SYN-ACK was captured"),
        (cut, "the client asks for a Fast Open cookie; not all options of the SYN-ACK were captured"),
        ((answer >= 0) & (given <= 0) & ~cut, "the client asks for a Fast Open cookie, and the SYN-ACK brings none"),
        (given > 0, "the client asks for a Fast Open cookie, and the SYN-ACK brings one of {given:octets}"),
    )
    yield from e.found_each(told, at, syn, answer, given=given)


@rule("fast-open", CHAT, example="fast-open-accepted.pcap", needs=ACK)
def fast_open(e: Evidence) -> Iterator[FindingRows]:
    """Data travelled with the SYN, and the server took them.

    What it means. The client had a cookie from an earlier connection, and the SYN-ACK acknowledges more than the SYN.
    The server may have answered before the third segment: its program saw the data one round trip earlier.

    Why it matters. It is ordinary where Fast Open is in use. A SYN that is delivered twice then delivers its data
    twice: requests sent so must bear that.

    Reported when. The SYN has data and a cookie, and the SYN-ACK acknowledges data.

    Not reported when. The SYN-ACK acknowledges the SYN alone (`fast-open-declined`).

    Source. RFC 7413 §3, §4.2. Wireshark tcp.analysis.tfo_syn and tfo_ack.
    """
    at, syn, _, answer = e.shared(_syns)
    if not len(at):
        return
    taken = np.where(answer >= 0, e.rows.ack[answer] - 1, 0)
    keep = taken > 0
    at, syn, answer, taken = at[keep], syn[keep], answer[keep], taken[keep]
    sent = e.rows.payload[syn]
    told = (
        (taken >= sent, "{sent:octets} on the SYN (Fast Open), and the SYN-ACK acknowledges them"),
        (taken < sent, "{sent:octets} on the SYN (Fast Open), of which the SYN-ACK acknowledges {taken:d}"),
    )
    yield from e.found_each(told, at, syn, answer, sent=sent, taken=taken)


@rule("fast-open-declined", NOTE, example="fast-open-declined.pcap", needs=ACK)
def fast_open_declined(e: Evidence) -> Iterator[FindingRows]:
    """The client sent data with its SYN by Fast Open, and the server did not take them.

    What it means. The cookie is not valid (the server's key or the client's address changed), Fast Open is off for that
    listener, or its queue of such connections is full. The SYN-ACK acknowledges the SYN alone, and the client must
    send the data again.

    Why it matters. Nothing is lost but the round trip that Fast Open was to save; the data crossed the network twice.

    Reported when. The SYN has data and the option, and the SYN-ACK acknowledges none of the data.

    Not reported when. The SYN was not answered at all: some paths drop SYNs with data, which `unanswered` and
    `syn-retransmitted` show. Nor if it was sent again without data before the SYN-ACK, unless that echoes the timestamp
    of the first.

    Source. RFC 7413 §3, §4.2.2, §7.1; RFC 7323 §3.2. Wireshark tcp.analysis.tfo_ignored; Suricata
    stream.3whs_synack_tfo_data_ignored.
    """
    at, syn, _, answer = e.shared(_syns)
    keep = (answer >= 0) & (e.rows.payload[syn] > 0)
    keep &= (e.rows.ack[answer] == 1) & e.judged(lambda one: one.fast_open == "declined")[at]
    at, syn, answer = at[keep], syn[keep], answer[keep]
    if not len(at):
        return
    again = e.first_among(_data_from_first(e))[at]
    given = of_lists(e, _cookie_octets, e.rows.options[answer])
    cut = (given <= 0) & is_cut(e, e.rows.options[answer])
    text = "the SYN-ACK acknowledges none of the {sent:octets} on the SYN"
    told = (
        (given > 0, text + ", and brings another cookie"),
        (cut, text),
        ((given <= 0) & ~cut, text + ": no Fast Open at this listener now"),
    )
    yield from e.found_each(told, at, syn, answer, again, sent=e.rows.payload[syn])


def _data_from_first(e: Evidence) -> Rows:
    """Return the rows of originators with the first octet of data after the SYN."""
    return np.flatnonzero(e.plain(ORIGINATOR) & (e.rows.payload > 0) & (e.rows.seq == 1))
