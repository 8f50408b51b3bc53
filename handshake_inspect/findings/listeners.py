"""What many connections show of one listener (RFC 4987)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.moments import NEVER
from handshake_inspect.connections.over_time.attempts import held_until_ns
from handshake_inspect.connections.sockets import stretch
from handshake_inspect.findings.rule import NOTE, WARN, about_rule
from handshake_inspect.findings.run import About, Run, worst
from handshake_inspect.quantities import counted, duration
from handshake_inspect.tcp.time_wait import SECOND_NS

#: Half-open connections of one listener at once that make a flood: where it answered so many of them with SYN-ACKs that
#: it is one, and where it did not.
FLOOD, ANSWERED, FLOOD_UNANSWERED = 16, 8, 100
#: From how many addresses SYNs must come that nothing answers: of one host they are somebody who tries again.
FLOOD_SOURCES = 8
#: Until then a SYN-ACK that nothing acknowledges was sent again: Linux waits for 1 s (RFC 6298 §2.1), systems that keep
#: to RFC 1122 §4.2.3.1 for 3 s.
SENT_AGAIN_NS = 4 * SECOND_NS


@about_rule("syn-flood", WARN, example="syn-flood.pcap")
def syn_flood(run: Run) -> Iterator[About]:
    """Many attempts at one listener stayed half-open or unanswered at once: a SYN flood, or the way back is broken.

    What it means. Each SYN makes the listener keep an entry until the third segment comes; here it never comes. The
    senders forged their addresses, or their ACKs (or the SYN-ACKs) are lost on the way.

    Why it matters. When as many entries as the backlog are half-open, ordinary clients are turned away: Linux then
    answers with SYN cookies, or, with these switched off, drops their SYNs. The number of half-open connections at once
    is the backlog that would have held them all.

    Reported when. At least 16 connections to one address and port were left half-open or unanswered at the same time,
    and at least 8 of them had been answered with a SYN-ACK; or at least 100 were never answered, from 8 addresses or
    more. Each counts for 63 s after its SYN-ACK, or after its last SYN where none came, which is how long Linux keeps
    it (five retries), or until the capture ends or its sockets are used again. It is said how many were answered once,
    and not again within 4 s: so it is with SYN cookies, of which nothing is kept that could be repeated. Of a capture
    that ends sooner nothing is said.

    Not reported when. More connections opened there than were left; the client ended the attempts with RSTs; or only
    one direction was captured.

    Source. RFC 4987 §2, §3; Suricata stream.3whs_synack_flood counts the SYN-ACKs of one connection instead.
    """
    answered = run.judged(lambda one: one.handshake_kind == "half-open")
    left = (answered | run.judged(lambda one: one.handshake_kind == "unanswered")) & ~run.one_sided
    opened = run.judged(lambda one: one.handshake_complete is True)
    left_here, opened_here = run.listeners.count(left), run.listeners.count(opened)
    suspects = worst(left_here, (left_here >= FLOOD) & (left_here > opened_here)).tolist()
    if not suspects:
        return
    clients, left_until_ns = run.clients_at_listeners(left), _held_until_ns(run, left, answered)
    for number in suspects:
        here = run.at_listener(number)
        mine = here if left_here[number] == len(here) else here[left[here]]
        first_ns, until_ns, is_half_open = run.table["first_ns"][mine], left_until_ns[mine], answered[mine]
        is_answered = int(np.count_nonzero(is_half_open)) >= ANSWERED
        if not is_answered and len(mine) < FLOOD_UNANSWERED:
            continue
        peak, peak_place = _most_at_once(first_ns, until_ns)
        addresses = int(clients[number])
        if peak < (FLOOD if is_answered else FLOOD_UNANSWERED) or not (is_answered or addresses >= FLOOD_SOURCES):
            continue
        peak_ns = first_ns[peak_place]
        since = int(peak_ns - first_ns[0])
        at_peak = is_half_open[(first_ns <= peak_ns) & (until_ns > peak_ns)]
        half_open = int(np.count_nonzero(at_peak))
        unanswered = len(at_peak) - half_open
        how = [f"{half_open:,} answered and half-open"] * (half_open > 0) + [f"{unanswered:,} unanswered"] * (
            unanswered > 0
        )
        once = _answered_once(run, mine[is_half_open])
        cookies = f"; {once:,} answered once, and not again in 4 s, as with SYN cookies" if once else ""
        yield About(
            str(run.servers.endpoint(int(mine[0]))),
            f"{counted(peak, 'attempt')} unfinished at once, {duration(since)} after the first: {', '.join(how)}; from "
            f"{counted(addresses, 'address', 'addresses')}; a backlog of {peak:,} would hold them{cookies}",
            connections=len(mine),
            frames=(run.first_frame(int(mine[0])), run.first_frame(int(mine[peak_place]))),
        )


def _answered_once(run: Run, half_open: Rows) -> int:
    """Count the half-open attempts whose SYN-ACK should have been retransmitted by now, and was not."""
    table = run.table
    answered_ns = table["first_ns"][half_open] + np.maximum(table["syn_to_syn_ack_ns"][half_open].astype(np.int64), 0)
    repeated = (table["syn_retransmissions"][half_open] > 0) | (table["syn_ack_retransmissions"][half_open] > 0)
    return int(np.count_nonzero(~repeated & (answered_ns + SENT_AGAIN_NS <= run.until_ns[half_open])))


def _held_until_ns(run: Run, which: Mask, answered: Mask) -> Rows:
    """Return until when each of these attempts counts, by its phases; 0 for the others. Shape (m,)."""
    table, at = run.table, np.flatnonzero(answered)
    since_ns = table["last_ns"].copy()
    since_ns[at] = table["first_ns"][at] + np.maximum(table["syn_to_syn_ack_ns"][at].astype(np.int64), 0)
    rows = stretch(np.flatnonzero(which))
    until: Rows = np.zeros(len(which), np.int64)
    until[rows] = held_until_ns(run.connections, rows, since_ns[rows])
    return until


def _most_at_once(first_ns: Rows, until_ns: Rows) -> tuple[int, int]:
    """Return how many of these attempts, in order of time, were unfinished at once at most, and the last of them."""
    over = np.sort(until_ns[until_ns <= first_ns[-1]])
    if not len(over):
        return len(first_ns), len(first_ns) - 1
    at_once = np.arange(1, len(first_ns) + 1) - np.searchsorted(over, first_ns, "right")
    place = int(at_once.argmax())
    return int(at_once[place]), place


@about_rule("accept-queue-full", NOTE, example="accept-queue-full.pcap")
def accept_queue_full(run: Run) -> Iterator[About]:
    """A listener left SYNs unanswered while it held connections that it had not begun to serve.

    What it means. Linux drops a SYN silently while the listener's accept queue is full: established connections wait
    there for accept(), as many as the backlog of listen() plus one. The client sends its SYN again after a second, and
    may be answered then.

    Why it matters. To the client this looks like loss: connecting takes 1, 3 or more seconds. The program accepts too
    slowly, or its backlog is too small.

    Reported when. A SYN to an address and port had to be repeated, or was never answered, while at least one other
    connection there was open on which the server had sent no octet until then.

    Not reported when. The listener had never answered a SYN before (`unanswered`), or all its open connections were
    being served: then the SYN was lost on the way, which this rule cannot tell from a full queue by one segment alone.

    Source. listen(2); RFC 9293 §3.10.7.2 does not know the queue.
    """
    table = run.table
    turned_away = run.judged(lambda one: one.handshake_kind == "unanswered") | (table["syn_retransmissions"] > 0)
    turned_away &= ~run.one_sided
    if not turned_away.any():
        return
    opened = run.judged(lambda one: one.handshake_complete is True)
    away_here, opened_here = run.listeners.count(turned_away), run.listeners.count(opened)
    suspects = worst(away_here, (away_here > 0) & (opened_here > 0)).tolist()
    if not suspects:
        return
    still_open = run.judged(lambda one: one.teardown_kind == "open")
    unserved_until = np.where(
        table["served_ns"] == NONE, np.where(still_open, NEVER, table["last_ns"]), table["served_ns"]
    )
    for number in suspects:
        mine = run.at_listener(number)
        held, away = mine[opened[mine] & ~turned_away[mine]], mine[turned_away[mine]]
        at_ns, until_ns = table["first_ns"][away], np.sort(unserved_until[held])
        waiting = np.searchsorted(table["first_ns"][held], at_ns) - np.searchsorted(until_ns, at_ns, "right")
        dropped = away[waiting > 0]
        if len(dropped):
            held_back = counted(int(waiting.max()), "open connection")
            yield About(
                str(run.servers.endpoint(int(mine[0]))),
                f"{counted(len(dropped), 'connection')} got no answer to the first SYN, while {held_back} waited for "
                "the server to send something: its accept queue was full, or the SYN was lost",
                connections=len(dropped),
                frames=tuple(run.first_frame(row) for row in dropped[:4].tolist()),
            )
