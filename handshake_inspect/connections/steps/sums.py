"""The arithmetic of each segment of one connection (RFC 9293 §3.4), in numbers and in letters.

In: the `StepRows` of a connection. Out: the spelling of its numbers, and `Arithmetic`: the required value of each, and
why.

x and y are the initial numbers. u is the FIN of the end that closes first, w that of the other, v the number that the
other end had reached when it acknowledged u.
"""

from __future__ import annotations

from dataclasses import dataclass

from handshake_inspect.connections.connection import Arithmetic, SackBlock
from handshake_inspect.connections.moments import NEVER
from handshake_inspect.connections.splitting.rows import ACK, FIN, ORIGINATOR, PSH, RESPONDER, RST, SYN, UNKNOWN
from handshake_inspect.connections.steps.step_rows import StepColumns, StepRows, before
from handshake_inspect.quantities import listed, octets_in_words
from handshake_inspect.tcp.seqnum import MODULUS, spelled


@dataclass(slots=True)
class _Letters:
    """The tutorials' letters for one end's numbers: its ISS, its FIN."""

    initial: str
    fin: str


class Sums:
    """Spells the numbers of one connection, and computes what they must be."""

    def __init__(self, columns: StepColumns, connection: int, rows: StepRows) -> None:
        self._columns, self._connection, self._rows = columns, connection, rows
        self._second = 1 - rows.closes_first
        first, second = ("u", "w") if rows.closes_first == ORIGINATOR else ("w", "u")
        self._letters = [_Letters("x", first), _Letters("y", second)]
        if rows.self_connect:
            self._letters[RESPONDER] = self._letters[ORIGINATOR]
        #: Number of the FIN of each end; None if it sent none.
        self._fin = [end - 1 if row >= 0 else None for row, end in zip(rows.fin_row, rows.fin_end, strict=True)]

    def absolute(self, side: int, relative: int) -> int:
        """Return the absolute number of a relative number of one end."""
        return (self._rows.iss[side] + relative) % MODULUS

    def symbol(self, side: int, relative: int, row: int) -> str:
        """Spell a number in letters; from the FIN on, relative to the FIN's letter."""
        rows, letters, fin = self._rows, self._letters[side], self._fin[side]
        if fin is not None and fin <= relative <= fin + 1 and row >= rows.fin_shown[side]:
            return letters.fin if relative == fin else f"{letters.fin}+1"
        v = rows.v
        if v is not None and side == self._second and relative >= v and row >= rows.fin_shown[1 - side]:
            return "v" if relative == v else f"v+{relative - v}"
        if not rows.iss_known[side]:
            return str(relative) if rows.heard[side] else str(self.absolute(side, relative))
        return spelled(letters.initial, relative)

    def of_row(self, i: int) -> list[Arithmetic]:
        """Return the sums that the numbers of row `i` must satisfy."""
        flags = self._rows.flags[i]
        if flags & RST:
            return self._reset_sums(i)
        sums = self._fin_sums(i) if flags & FIN and not self._rows.ignored_syn[i] else []
        if not flags & SYN and not any(one.holds is False for one in sums):
            sums += self._sequence_sum(i)
        if flags & ACK:
            sums += self._acknowledgment_sums(i)
        return sums + self._duplicate_sums(i)

    def _sequence_sum(self, i: int) -> list[Arithmetic]:
        """Compare SEG.SEQ with the end of what its sender was captured sending before, and add the number after it."""
        rows, side, seq = self._rows, self._rows.side[i], self._rows.seq[i]
        sent = before(rows.sent[side], i)
        if sent == UNKNOWN or seq == sent:
            sums = []
            if sent == 1 and rows.iss_known[side] and i <= rows.first_after_syn[side]:
                sums.append(self._sum("seq", side, 1, seq, True, "after the SYN", i))
            octets = rows.payload[i]
            if octets and not rows.flags[i] & FIN:
                sums.append(self._sum("next", side, seq + octets, seq + octets, True, f"seq + {octets}", i))
            return sums
        if seq < 1 and rows.iss_known[side] and (seq < 0 or i <= rows.first_after_syn[side]):
            return [self._sum("seq", side, sent, seq, False, f"{octets_in_words(sent - seq)} too low", i)]
        if seq > sent:
            why = f"{octets_in_words(seq - sent)} before it not captured (yet)"
            if rows.fin_row[side] > i and seq == rows.fin_end[side] == sent + 1:
                why = "behind its FIN, which was captured later"
            return [self._sum("seq", side, sent, seq, None, why, i)]
        if seq == sent - 1 and rows.payload[i] <= 1 and self._asks_only(i):
            closed = self._finds_window_closed(i)
            what = "a probe of the closed window (RFC 9293 §3.8.6.1)" if closed else "a keep-alive (RFC 9293 §3.8.4)"
            return [self._sum("seq", side, seq, seq, True, f"one below the next: {what}", i)]
        if seq < rows.seq_end[i] <= sent:
            why = "fills a gap: overtaken, or sent again"
            if rows.is_repeat[i]:
                why = self._columns.why_again(self._connection, i)
            return [self._sum("seq", side, seq, seq, True, why, i)]
        return []

    def _asks_only(self, i: int) -> bool:
        """Return whether a segment brings nothing new: no octet, or one already acknowledged, without PSH."""
        rows, flags = self._rows, self._rows.flags[i]
        told = before(rows.acknowledged_by[rows.peer(rows.side[i])], i)
        return not flags & FIN and (not rows.payload[i] or (told >= rows.seq_end[i] and not flags & PSH))

    def _finds_window_closed(self, i: int) -> bool:
        """Return whether the window that the peer sent last was 0."""
        rows = self._rows
        for row in range(i - 1, -1, -1):
            if rows.side[row] != rows.side[i] and rows.flags[row] & (RST | ACK) == ACK:
                return rows.window[row] == 0
        return False

    def _fin_sums(self, i: int) -> list[Arithmetic]:
        """Return u = x + 1 + octets sent: the account of one direction."""
        rows, side = self._rows, self._rows.side[i]
        if not rows.iss_known[side]:
            return []  # no initial number to count from
        number = rows.seq_end[i] - 1
        if number < 1:
            return [self._sum("seq", side, 1, rows.seq[i], False, f"{octets_in_words(1 - number)} too low", i)]
        if not rows.is_fin[i]:
            expected = rows.fin_end[side] - 1
            if number == expected or not has_closed(rows, i):
                return []
            by = f"{octets_in_words(abs(number - expected))} too {'high' if number > expected else 'low'}"
            return [self._sum("seq", side, expected, number, False, by, i)]
        octets, since = number - 1, number - rows.v if rows.v is not None and side == self._second else 0
        return [
            Arithmetic(
                name=self._letters[side].fin,
                symbolic=spelled(self._letters[side].initial, number),
                expected=self.absolute(side, number),
                relative=number,
                actual=self.absolute(side, number),
                holds=True,
                reason=f"{octets_in_words(octets)} sent",
            ),
            *([self._half_closed_sum(side, number, since)] if since > 0 else []),
        ]

    def _half_closed_sum(self, side: int, number: int, since: int) -> Arithmetic:
        """Return w = v + octets sent while half-closed."""
        at = self.absolute(side, number)
        return Arithmetic(
            name=self._letters[side].fin,
            symbolic=f"v+{since}",
            expected=at,
            relative=number,
            actual=at,
            holds=True,
            reason="while half-closed",
        )

    def _acknowledgment_sums(self, i: int) -> list[Arithmetic]:
        rows, side, ack = self._rows, self._rows.side[i], self._rows.ack[i]
        peer, acknowledged = rows.peer(side), before(rows.acknowledged_by[side], i)
        if not rows.ack_counts[i]:
            return [self._wrong_acknowledgment(i, peer, ack)]
        if ack == acknowledged and not rows.flags[i] & SYN:
            why = f"duplicate ACK {rows.duplicate_acks[i]}" if rows.duplicate_acks[i] else self._why_again(i)
            return [self._sum("ack", peer, ack, ack, True, f"again: {why}", i)] if why else []
        if ack < acknowledged:
            behind = f"{octets_in_words(acknowledged - ack)} behind: sent or seen late"
            if self._fin[peer] == ack == acknowledged - 1:
                behind = "not the FIN: sent before that came, or seen late"
            return [self._sum("ack", peer, acknowledged, ack, None, behind, i)]
        fin, sent = self._fin[peer], before(rows.sent[peer], i)
        if fin is not None and ack == fin + 1 and rows.fin_row[peer] <= i:
            return [self._sum("ack", peer, fin + 1, ack, True, "FIN counts one", i)]
        if fin is not None and ack == fin + 1 and sent < ack:
            return [self._sum("ack", peer, fin + 1, ack, True, "the FIN, which was captured later", i)]
        opens = acknowledged < 1 or rows.flags[i] & SYN
        if ack >= 1 and opens and rows.iss_known[peer]:
            why = "SYN counts one" if ack == 1 else f"SYN and {octets_in_words(ack - 1)}"
            return [self._sum("ack", peer, ack, ack, True, why, i)]
        if sent != UNKNOWN and ack > sent:
            return [self._sum("ack", peer, sent, ack, None, f"{octets_in_words(ack - sent)} of it not captured", i)]
        if acknowledged == UNKNOWN:
            return []
        return [self._sum("ack", peer, ack, ack, True, octets_in_words(ack - acknowledged), i)]

    def _why_again(self, i: int) -> str | None:
        """Return why an ACK without news was sent: what it answers, a gap, its window; None if unknown."""
        rows, side = self._rows, self._rows.side[i]
        if rows.payload[i] or rows.flags[i] & (FIN | SYN) or rows.seq[i] != before(rows.sent[side], i):
            return None
        if rows.peer(rows.side[i - 1]) == side and not rows.self_connect:
            if rows.is_repeat[i - 1]:
                return "answers what came again"
            if rows.seq[i - 1] == before(rows.sent[1 - side], i - 1) - 1 and self._asks_only(i - 1):
                return "answers the probe" if self._finds_window_closed(i - 1) else "answers the keep-alive"
        if any(not one.is_duplicate for one in rows.sack.get(i) or ()):
            return "SACK tells of a gap"  # counts as a duplicate ACK, whatever the window (RFC 6675 §2)
        own = next((row for row in range(i - 1, -1, -1) if rows.side[row] == side), None)
        # The window of a SYN is not scaled (RFC 7323 §2.2).
        if own is None or rows.flags[own] & (SYN | RST) or rows.window[own] == rows.window[i]:
            return None
        return "a window update" if rows.window[i] > rows.window[own] else "a smaller window"

    def _duplicate_sums(self, i: int) -> list[Arithmetic]:
        """Return the sums of the octets that the receiver reports as received twice."""
        peer = self._rows.peer(self._rows.side[i])
        return [
            self._sum("dsack", peer, one.left_edge, one.left_edge, True, self._came_twice(peer, one), i)
            for one in self._rows.sack.get(i) or ()
            if one.is_duplicate
        ]

    def _came_twice(self, side: int, block: SackBlock) -> str:
        """Name what one end sent of a D-SACK block: octets, its SYN, its FIN."""
        has_syn = self._rows.iss_known[side] and block.left_edge < 1
        has_fin = self._fin[side] == block.right_edge - 1
        octets = block.right_edge - block.left_edge - has_syn - has_fin
        named = ["the SYN"] * has_syn + [octets_in_words(octets)] * (octets > 0) + ["the FIN"] * has_fin
        return f"{listed(named)} came twice (RFC 2883)"

    def _wrong_acknowledgment(self, i: int, peer: int, ack: int) -> Arithmetic:
        rows = self._rows
        expected = max(rows.syn_end[peer] if rows.flags[i] & SYN else rows.sent[peer][i], 1)
        by = ack - expected
        if not by:  # the segment's own number is wrong
            seq, side = rows.seq[i], rows.side[i]
            if not seq:
                return self._sum("seq", side, 1, seq, False, "before the window", i)
            return self._sum("seq", side, 0, seq, False, "another initial number", i)
        why = f"{octets_in_words(abs(by))} too {'high' if by > 0 else 'low'}"
        return self._sum("ack", peer, expected, ack, False, why, i)

    def _reset_sums(self, i: int) -> list[Arithmetic]:
        rows, events, side, seq = self._rows, self._columns.events, self._rows.side[i], self._rows.seq[i]
        peer = rows.peer(side)
        sums = []
        expected = before(rows.acknowledged_by[peer], i)
        if expected != UNKNOWN and seq < expected and self._columns.answers_another(self._connection, i):
            sums.append(self._sum("seq", side, seq, seq, True, "what that SYN,ACK acknowledged", i))
        elif expected != UNKNOWN and seq > expected and seq == before(rows.sent[side], i):
            behind = octets_in_words(seq - expected)
            sums.append(self._sum("seq", side, seq, seq, True, f"its sender's next; {behind} not acknowledged yet", i))
        elif expected != UNKNOWN:
            reason = "RCV.NXT of the peer" if seq == expected else f"{octets_in_words(abs(seq - expected))} off RCV.NXT"
            sums.append(self._sum("seq", side, expected, seq, seq == expected, reason, i))
        if rows.flags[i] & ACK and rows.iss_known[peer]:
            ack, highest = rows.ack[i], before(rows.sent[peer], i)
            if highest != UNKNOWN and int(events.syn_received[2 * self._connection + peer]) == NEVER:
                reason = "acknowledges the SYN" if ack == highest else "does not acknowledge the SYN"
                sums.append(self._sum("ack", peer, highest, ack, ack == highest, reason, i))
        return sums

    def _sum(
        self, name: str, side: int, expected: int, actual: int, holds: bool | None, reason: str, row: int
    ) -> Arithmetic:
        iss = self._rows.iss[side]
        wanted, found = (iss + expected) % MODULUS, (iss + actual) % MODULUS
        return Arithmetic(name, self.symbol(side, expected, row), wanted, expected, found, holds, reason)


def has_closed(rows: StepRows, i: int) -> bool:
    """Return whether the FIN of the sender of row `i` is acknowledged, before or after the row."""
    side = rows.side[i]
    return rows.acknowledged_by[rows.peer(side)][-1] >= rows.fin_end[side]
