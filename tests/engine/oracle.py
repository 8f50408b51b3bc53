"""The same answers by other means: one plain machine that takes a conversation segment by segment.

Nothing here is shared with the engine but the table of states. It walks the rows in order, keeps for each end what its
peer has sent and not yet delivered, and hands a segment over when it arrives. No arrays, no sorting, no moments.

Reading order: `Oracle` (one connection), `split` (one conversation), `kinds` at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from handshake_inspect.tcp.states import Event, State, step
from tests.engine.scenario import Segment

FIN, SYN, RST, ACK = 1, 2, 4, 16
MODULUS = 1 << 32
SPAN = 1 << 30
SYNCHRONIZED = {
    State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2, State.CLOSE_WAIT, State.CLOSING, State.LAST_ACK,
    State.TIME_WAIT, None,
}  # fmt: skip


def signed(number: int) -> int:
    """The shorter way round the circle."""
    return (number + (1 << 31)) % MODULUS - (1 << 31)


@dataclass
class Row:
    """A segment with numbers counted from the initial ones."""

    index: int
    side: int
    flags: int
    octets: int
    raw_seq: int
    raw_ack: int
    ignored_syn: bool
    ip_id: int | None
    window: int
    seq: int = 0
    ack: int = 0

    def has(self, bits: int) -> bool:
        return self.flags & bits == bits

    @property
    def length(self) -> int:
        return self.octets + bool(self.flags & SYN) + bool(self.flags & FIN)

    @property
    def end(self) -> int:
        return self.seq + self.length

    @property
    def arrives_at(self) -> int:
        """The number that its receiver must have acknowledged. Of a SYN only the SYN: data on it may be declined."""
        return self.seq + 1 if self.flags & SYN else self.end

    @property
    def speaks(self) -> bool:
        return not self.flags & RST

    @property
    def bare_syn(self) -> bool:
        return self.flags & (SYN | ACK | RST) == SYN and not self.ignored_syn

    @property
    def syn_ack(self) -> bool:
        return self.flags & (SYN | ACK | RST) == SYN | ACK

    @property
    def plain_ack(self) -> bool:
        return self.flags & (SYN | ACK | RST) == ACK


@dataclass
class Move:
    """One end came into a state."""

    row: int
    end: int
    before: State | None
    #: None: it is closing, and nobody can tell how.
    after: State | None
    basis: str
    event: Event


@dataclass
class End:
    """What the machine knows of one end."""

    state: State | None = None
    start: State | None = None
    unheard: bool = False
    lost: bool = False
    #: The highest number it has acknowledged; None before the first.
    acknowledged: int | None = None
    #: Everything below it counts as received, whatever was acknowledged.
    taken_as_received: int | None = None
    #: Segments of its peer that have not reached it.
    pending: list[Row] = field(default_factory=list)
    pending_resets: list[Row] = field(default_factory=list)
    #: SYN,ACKs that it can only have received after sending its own (simultaneous open).
    held: list[Row] = field(default_factory=list)
    #: Acknowledgments of a FIN that was captured only after them.
    early_acks: list[Row] = field(default_factory=list)
    done: set[Event] = field(default_factory=set)

    def has_received(self, number: int) -> bool:
        reached = [n for n in (self.acknowledged, self.taken_as_received) if n is not None]
        return bool(reached) and max(reached) >= number


class Oracle:
    """One connection."""

    def __init__(self, segments: Sequence[Segment], ignored: set[int], self_connect: bool) -> None:
        self.self_connect = self_connect
        self.originator = _originator(segments, ignored)
        self.rows = [
            Row(
                index,
                0 if self_connect or one.sender == self.originator else 1,
                one.flags,
                one.octets,
                one.seq,
                one.ack,
                index in ignored,
                one.ip_id,
                one.window,
            )
            for index, one in enumerate(segments)
        ]
        self._of = [[row for row in self.rows if row.side == side] for side in (0, 1)]
        self._last_spoken = [max((row.index for row in own if row.speaks), default=-1) for own in self._of]
        self.iss: list[int | None] = [None, None]
        self.known = [False, False]
        self._find_initial_numbers()
        self._count_from_initial_numbers()
        self._look_at_syns()
        self._look_at_acknowledgments()
        self._look_for_what_was_missed()
        #: First proven arrival of each news: (end, event) -> row.
        self.proofs: dict[tuple[int, Event], int] = {}
        self._forget()
        self._run()
        self._forget()
        self._run()  # knowing what was proven when: who knows that its SYN or FIN arrived does not repeat it

    def _forget(self) -> None:
        self.ends = [End(), End()]
        self.moves: list[Move] = []
        self.events: list[tuple[int, int, Event]] = []
        #: RSTs that moved their receiver: (row, number of the move).
        self.effective_resets: list[tuple[Row, int]] = []
        #: First proven arrival of news that had been assumed to arrive before: (end, event) -> row.
        self.confirmed: dict[tuple[int, Event], int] = {}
        #: (from row, until before row, end, event): an assumption that later segments disprove.
        self.disproved: list[tuple[int, int, int, Event]] = []
        self.after: list[list[tuple[State | None, str | None]]] = []

    # --- who and where ---

    def peer(self, side: int) -> int:
        return side if self.self_connect else 1 - side

    def of(self, side: int) -> list[Row]:
        return self._of[side]

    def _find_initial_numbers(self) -> None:
        rows = self.rows
        for side in (0, 1):
            own = [row for row in rows if row.side == side and row.bare_syn]
            if own:
                self.iss[side], self.known[side] = own[0].raw_seq, True
        responder = self.peer(0)
        answers = [row for row in rows if row.syn_ack and row.side == responder] if not self.self_connect else []
        if answers:
            if not self.known[1]:
                on_syn = next((row.octets for row in rows if row.bare_syn and row.side == 0), 0)
                right = [
                    row
                    for row in answers
                    if self.iss[0] is not None and (row.raw_ack - self.iss[0] - 1) % MODULUS <= on_syn
                ]
                named = {row.raw_ack for row in rows if row.side == 0 and row.plain_ack}
                confirmed = [row for row in right if (row.raw_seq + 1) % MODULUS in named]
                self.iss[1], self.known[1] = (confirmed or right or answers)[0].raw_seq, True
            if not self.known[0]:
                self.iss[0], self.known[0] = (answers[0].raw_ack - 1) % MODULUS, True
        for side in (0, 1):
            if self.known[side]:
                continue
            for row in rows:  # the first number seen of this end, its own or one that its peer acknowledges
                if row.speaks and row.side == side:
                    self.iss[side] = (row.raw_seq - 1) % MODULUS
                elif row.speaks and row.has(ACK) and self.peer(row.side) == side:
                    self.iss[side] = (row.raw_ack - 1) % MODULUS
                else:
                    continue
                break
            else:
                reset = next((row for row in self.of(side) if row.has(RST)), None)
                self.iss[side] = (reset.raw_seq - 1) % MODULUS if reset else None

    def _count_from_initial_numbers(self) -> None:
        """Relative numbers; in the order of capture each is placed nearest to the last believable one."""
        for side in (0, 1):
            iss = self.iss[side]
            base = 0 if iss is None else iss
            reference = 0
            for row in self.rows:
                both = ((row.side == side, "seq"), (self.peer(row.side) == side and row.has(ACK), "ack"))
                for concerns, name in both:
                    if not concerns:
                        continue
                    raw = row.raw_seq if name == "seq" else row.raw_ack
                    way = signed(raw - base - reference)
                    setattr(row, name, reference + way)
                    if row.speaks and not row.has(SYN) and -SPAN < way < SPAN:
                        reference += way

    # --- looking at the whole connection once ---

    def _look_at_syns(self) -> None:
        rows = self.rows
        self.syn_end = [1, 1]
        for row in rows:
            if row.has(SYN) and row.speaks and not row.ignored_syn and row.seq == 0 and self.known[row.side]:
                if self._answers_nobody(row):
                    continue
                self.syn_end[row.side] = max(self.syn_end[row.side], 1 + row.octets)

        def is_right(row: Row) -> bool:
            if self._answers_nobody(row):
                return False
            return row.seq == 0 and self.known[row.side] and 1 <= row.ack <= self.syn_end[self.peer(row.side)]

        self.right = [row for row in rows if row.syn_ack and is_right(row)]
        self.wrong = [row for row in rows if row.syn_ack and not is_right(row)]
        self.bare: list[Row | None] = [
            next((r for r in self.of(side) if r.bare_syn and r.seq == 0), None) for side in (0, 1)
        ]
        self.syn_ack: list[Row | None] = [next((r for r in self.right if r.side == side), None) for side in (0, 1)]
        self.syns = [[r for r in self.of(side) if r in self.right or (r.bare_syn and r.seq == 0)] for side in (0, 1)]

    def _answers_nobody(self, row: Row) -> bool:
        """A SYN,ACK of the end that had asked: its peer only ever answered, and had done so before."""
        if not row.syn_ack or row.side != 0 or self.self_connect:
            return False
        its = self.of(1)
        return any(r.syn_ack and r.index < row.index for r in its) and not any(r.bare_syn for r in its)

    def _advances(self, row: Row) -> bool:
        """Does it count for what its end has sent? A SYN with another initial number than that of the end does not."""
        return row.speaks and not (row.ignored_syn and self.known[row.side])

    def _look_at_acknowledgments(self) -> None:
        """Which acknowledgments count (RFC 9293 §3.10.7.4, fifth)."""
        highest: list[int | None] = [None, None]
        plain = [[r for r in self.of(side) if r.plain_ack] for side in (0, 1)]
        self.counts = {row.index for row in self.right}
        for row in self.rows:
            if self._advances(row):
                seen = highest[row.side]
                highest[row.side] = row.end if seen is None else max(seen, row.end)
            if not row.plain_ack:
                continue
            peer = self.peer(row.side)
            sent = highest[peer]
            if sent is not None and row.ack > sent:
                own = plain[row.side]
                later = own[own.index(row) + 1 :]
                taken_back = bool(later) and later[0].ack < row.ack
                only_syn = bool(self.syns[peer]) and not any(r.speaks and not r.has(SYN) for r in self.of(peer))
                only_syn = only_syn and self.bare[peer] is None
                if taken_back or only_syn:
                    continue
            self.counts.add(row.index)

    def _look_for_what_was_missed(self) -> None:
        responder = self.peer(0)
        opened = self.known[0] and not self.self_connect
        #: The originator answers a SYN of the responder's, and that was not captured.
        self.crosses = opened and bool(self.bare[0] and self.syn_ack[0] and not self.bare[1])
        acks = [r for r in self.of(0) if r.plain_ack and r.index in self.counts]
        self.proves_syn_ack: Row | None = None
        self.proves_ack: Row | None = None
        if opened and self.syn_ack[1] is None and self.bare[1] is None and acks and not self.wrong_answers():
            self.proves_syn_ack = acks[0]
        if opened:
            proof = next((r for r in self.of(responder) if self._proves_the_third_segment(r, silent=not acks)), None)
            self.proves_ack = proof if proof and not any(r.index < proof.index for r in acks) else None
        self.fin: list[Row | None] = [self._find_fin(side) for side in (0, 1)]
        fins = self.fin
        self.fin_end: list[int | None] = [fin.end if fin else None for fin in fins]
        self.proves_fin: list[Row | None] = [None, None]
        self.late_fin: list[Row | None] = [None if self.self_connect else self._shows_late_fin(side) for side in (0, 1)]
        #: Ends of which nobody can tell whether their FIN is the first or the second.
        self.in_doubt: set[int] = set()
        if self.self_connect:
            return
        for side in (0, 1):
            other = fins[1 - side]
            if fins[side] is not None or other is None:
                continue
            own_rows = [r for r in self.of(side) if r.speaks and (not r.has(SYN) or r in self.syns[side])]
            occupied = [r.end for r in own_rows if r.length]
            sent = occupied + [1] * any(r.speaks for r in self.of(side))
            own = [r.ack for r in self.of(side) if r.index in self.counts]
            its = [r for r in self.of(1 - side) if r.index in self.counts]
            closed = bool(own) and max(own) >= other.end
            if sent and its and closed and max(r.ack for r in its) == max(sent) + 1:
                self.proves_fin[side] = next(r for r in its if r.ack == max(sent) + 1)
                self.fin_end[side] = max(sent) + 1
            elif self._may_hide_a_fin(occupied, side, other):
                self.in_doubt.add(1 - side)

    def _proves_the_third_segment(self, row: Row, silent: bool) -> bool:
        """Does this segment of the responder acknowledge data, or has it the first, which wait for the third segment?

        `silent`: no acknowledgment of the originator was captured.
        """
        if row.index not in self.counts:
            return False
        first = row.octets > 0 and row.seq == 1 and row.plain_ack
        first = first and bool(self.syn_ack[1]) and not self.bare[1] and self.syn_end[0] == 1
        return first or (silent and row.ack > self.syn_end[0])

    def _shows_late_fin(self, side: int) -> Row | None:
        """What acknowledges a FIN that was captured only after the FIN with which the peer answers it."""
        fin, answer = self.fin[side], self.fin[1 - side]
        if fin is None or answer is None or answer.index > fin.index:
            return None
        if answer.index not in self.counts or answer.ack < fin.end:
            return None
        shows = next(r for r in self.of(1 - side) if r.index in self.counts and r.ack >= fin.end)
        had_heard = any(r.index in self.counts and r.index < shows.index for r in self.of(side))
        earlier = [r.end for r in self.of(1 - side) if self._advances(r) and r.index < shows.index]
        had_closed = max([*earlier, shows.seq]) >= answer.end
        return shows if (had_heard or not self.known[0]) and not had_closed else None

    def _may_hide_a_fin(self, occupied: list[int], side: int, other: Row) -> bool:
        """Had the sender of the FIN `other` acknowledged what was not captured, perhaps a FIN, and nothing after it?"""
        its = [r for r in self.of(1 - side) if r.index in self.counts]
        before = [r.ack for r in its if r.index <= other.index]
        has_acknowledged_the_syn = self.known[0] and any(r.plain_ack and r.index < other.index for r in its)
        if self.known[side] or has_acknowledged_the_syn:
            occupied = [*occupied, 1]
        if not before or max(r.ack for r in its) > max(before):
            return False
        return all(max(before) > end for end in occupied)

    def _could_be_fin(self, row: Row) -> bool:
        """A FIN whose number lies before its sender's SYN belongs to some other connection; one without ACK to none."""
        return row.has(FIN) and row.has(ACK) and row.speaks and (not self.known[row.side] or row.end >= 2)

    def _is_fin(self, row: Row) -> bool:
        """A FIN with another number than the FIN's closes nothing."""
        fin = self.fin[row.side]
        return fin is not None and self._could_be_fin(row) and row.end == fin.end

    def _find_fin(self, side: int) -> Row | None:
        """The first to be acknowledged, unless octets have its number; else one beyond what was acknowledged."""
        seen: dict[int, Row] = {}
        ahead: list[Row] = []
        reached: int | None = None
        for row in self.rows:
            if row.index in self.counts and self.peer(row.side) == side and (reached is None or row.ack > reached):
                before, reached = reached, row.ack
                passed = [one for one in ahead if (before is None or before < one.end) and one.end <= reached]
                passed.sort(key=lambda one: (one.end != row.ack, one.end))
                for one in passed:
                    if one.end == row.ack or not self._has_octet(side, one.end - 1):
                        return one
            if row.side == side and self._could_be_fin(row) and row.end not in seen:
                seen[row.end] = row
                if reached is None or row.end > reached:
                    ahead.append(row)
        return next(iter([*ahead, *seen.values()]), None)

    def _has_octet(self, side: int, number: int) -> bool:
        return any(r.speaks and 0 <= number - r.seq - bool(r.flags & SYN) < r.octets for r in self.of(side))

    def wrong_answers(self) -> list[Row]:
        return [row for row in self.wrong if row.side == self.peer(0)]

    def _is_copy(self, fin: Row) -> bool:
        """The network doubled it: an earlier FIN of the same packet number."""
        same = [r for r in self.of(fin.side) if self._is_fin(r) and r.seq == fin.seq and r.ip_id == fin.ip_id]
        return bool(fin.ip_id) and same[0] is not fin

    # --- the machine ---

    def _run(self) -> None:
        self._start()
        for row in self.rows:
            self._take(row)
            self.after.append([self._last(0), self._last(1)])

    def _start(self) -> None:
        ends, rows = self.ends, self.rows
        for side in (0, 1):
            end = ends[side]
            if not self.known[self.peer(side)] or (self.proves_syn_ack and side == 1):
                end.taken_as_received = 1
            if not self.known[0]:
                spoke = any(r.speaks and r.side == side for r in rows)
                named = any(r.speaks and r.has(ACK) and self.peer(r.side) == side for r in rows)
                if spoke or (named and not any(r.has(RST) and r.side == side for r in rows)):
                    end.start = State.ESTABLISHED
                else:
                    end.unheard = True
        if self.known[0]:
            ends[0].start = State.CLOSED
            if not self.self_connect:
                ends[1].start = self._start_of_responder()
        for end in ends:
            end.state = end.start

    def _start_of_responder(self) -> State | None:
        if self.bare[1] or self.crosses:
            return State.CLOSED
        if self.syn_ack[1] or self.wrong_answers() or self.proves_syn_ack or self.proves_ack:
            return State.LISTEN
        # It acknowledges the SYN with some other segment: it has received it.
        if any(r.index in self.counts and r.ack >= 1 for r in self.of(1)):
            return State.LISTEN
        return State.CLOSED if any(r.has(RST) for r in self.of(1)) else None

    def _last(self, side: int) -> tuple[State | None, str | None]:
        for move in reversed(self.moves):
            if move.end == (0 if self.self_connect else side):
                return move.after, move.basis if move.after else None
        start = self.ends[0 if self.self_connect else side].start
        return start, "assumed" if start else None

    def _take(self, row: Row) -> None:
        sender, receiver = row.side, self.peer(row.side)
        me, you = self.ends[sender], self.ends[receiver]
        # What its acknowledgment proves.
        if row.index in self.counts:
            me.acknowledged = row.ack if me.acknowledged is None else max(me.acknowledged, row.ack)
        self._infer(row)
        for one in [r for r in me.pending if r.length and me.has_received(r.arrives_at)]:
            me.pending.remove(one)
            self._news(one, sender, row)
        self._infer_fin(row)
        # Its own acts.
        acts: list[tuple[Event, str]] = []
        if row is self.bare[sender]:
            acts.append((Event.SEND_SYN, "sent"))
        if row is self.fin[sender]:
            acts.append((Event.SEND_FIN, "sent"))
        if row.has(RST) and self._resets_itself(row):
            acts.append((Event.SEND_RST, "sent"))
        self._happen(sender, acts, row.index)
        # What was waiting for it.
        waiting = [r for r in me.pending if not r.length and me.has_received(r.arrives_at)]
        waiting += me.held if row is self.syn_ack[sender] else []
        waiting += me.early_acks if row is self.fin[sender] else []
        if self.crosses and row is self.proves_syn_ack:
            for one in you.held:
                self._news(one, receiver, row, again=True)
        if row is self.syn_ack[sender]:
            me.held = []
        for one in sorted(waiting, key=lambda r: r.index):
            if one in me.pending:
                me.pending.remove(one)
                self._news(one, sender, row)
            else:
                self._news(one, sender, row, again=True)
        for one in [r for r in me.pending_resets if me.acknowledged is not None and me.acknowledged >= r.seq]:
            me.pending_resets.remove(one)
            if me.acknowledged == one.seq:
                self._reset(one, sender, row)
        # Itself.
        if row.has(RST):
            self._arrive_reset(row, receiver)
        elif you.has_received(row.arrives_at):
            self._news(row, receiver, row)
        else:
            you.pending.append(row)
            if self._opens_ahead(row):
                self._happen(receiver, [(Event.RECEIVE_ACK_OF_SYN, "assumed")], row.index)

    def _opens_ahead(self, row: Row) -> bool:
        """The first that the client says after its SYN, with a number in the window: its ACK is taken."""
        if self.self_connect or row.side != 0 or row.length or not row.plain_ack or row.ack < 1:
            return False
        if row is not next((r for r in self.of(0) if r.plain_ack and r.index in self.counts), None):
            return False
        answer = self.syn_ack[1]
        if answer is None or answer.index > row.index or self.bare[1] or self.crosses:
            return False
        again = any(r.index > row.index for r in self.syns[1])
        return not again and row.seq < answer.ack + answer.window

    def _infer(self, row: Row) -> None:
        """What this row proves though its segment was not captured, or only later."""
        at = row.index
        for side in (0, 1):
            bare = self.bare[side]
            if row in self.right and bare is not None and bare.index > at:
                self._happen(side, [(Event.SEND_SYN, "sent")], at)
        if self.crosses:
            if row in self.right or (row.side == 1 and row.plain_ack and row.index in self.counts):
                self._happen(1, [(Event.SEND_SYN, "sent")], at)
            if row is self.syn_ack[0]:
                self._happen(0, [(Event.RECEIVE_SYN, "acknowledged")], at)
        if row is self.syn_ack[self.peer(0)] and not self.self_connect and self.known[0]:
            bare = self.bare[0]
            if bare is None or bare.index > at:
                self._happen(0, [(Event.SEND_SYN, "sent")], at)
                self._happen(1, [(Event.RECEIVE_SYN, "acknowledged")], at)
        if row in self.wrong and self.bare[row.side] is None:
            right = self.syn_ack[row.side]
            if row is next(r for r in self.wrong if r.side == row.side) and (right is None or right.index > at):
                self._happen(row.side, [(Event.RECEIVE_SYN, "acknowledged")], at, once=False)
        if row is self.proves_syn_ack or (row is self.proves_ack and self.proves_syn_ack is None):
            self._happen(1, [(Event.RECEIVE_SYN, "acknowledged")], at)
            self._happen(0, [(Event.RECEIVE_SYN, "acknowledged"), (Event.RECEIVE_ACK_OF_SYN, "acknowledged")], at)
        if row is self.proves_ack:
            self._happen(1, [(Event.RECEIVE_ACK_OF_SYN, "acknowledged")], at)
        for side in (0, 1):
            if row is self._shows_crossed_fin(side):
                self._happen(side, [(Event.SEND_FIN, "sent")], at)

    def _shows_crossed_fin(self, side: int) -> Row | None:
        """What acknowledges the peer's FIN, was captured before a FIN that does not, and was sent after it."""
        fin, other = self.fin[side], self.fin_end[1 - side]
        if fin is None or other is None or self.self_connect:
            return None
        first = next((r for r in self.of(side) if r.index in self.counts and r.ack >= other), None)
        if first is None or first.index > fin.index or first.end < fin.end:
            return None
        return first if any(self._is_fin(r) and r.ack < other for r in self.of(side)) else None

    def _infer_fin(self, row: Row) -> None:
        """A FIN is the last number of its sender: all that came before has arrived."""
        at = row.index
        for side in (0, 1):
            if row is self.proves_fin[side] or row is self.late_fin[side]:
                self._happen(side, [(Event.SEND_FIN, "sent")], at)
                self._happen(1 - side, [(Event.RECEIVE_FIN, "acknowledged")], at)

    def _news(self, row: Row, end: int, at: Row, again: bool = False) -> None:
        """`row` reaches `end`, which is known at row `at`. `again`: only its acknowledgment had been held back."""
        events: list[tuple[Event, str]] = []
        if not again:
            right_syn = row in self.syns[row.side]
            waits = self.crosses and end == 1 and self.proves_syn_ack is not None
            if right_syn and not waits:
                events.append((Event.RECEIVE_SYN, "acknowledged"))
        if row.index in self.counts:
            events += self._acknowledgments(row, end, at, again)
        if not again and self._is_fin(row):
            events.append((Event.RECEIVE_FIN, "acknowledged" if row.length else "assumed"))
        self._happen(end, events, at.index)

    def _acknowledgments(self, row: Row, end: int, at: Row, again: bool) -> list[tuple[Event, str]]:
        found: list[tuple[Event, str]] = []
        opened = self.known[end] or (end == 1 and self.proves_syn_ack is not None)
        crossing = self.syn_ack[end] if self.bare[end] else None
        if self.crosses and end == 1:
            crossing = self.syn_ack[1] or self.proves_syn_ack
        if opened and row.ack >= 1 and (row.has(SYN) or row.seq >= 1) and not self._is_refused(row):
            soft = row.length == 0 or (row.has(SYN) and crossing is not None)
            repeats = [r.index for r in self.syns[end] if r.index > at.index]
            crosses = row.has(SYN) and crossing is not None and crossing.index > row.index
            if crosses and not again:
                self.ends[end].held.append(row)
            else:
                if crosses and len(self.syns[end]) + (self.crosses and end == 1) <= 2:
                    repeats = []
                found += self._believe(Event.RECEIVE_ACK_OF_SYN, soft, repeats, end, at)
        fin, fin_end = self.fin[end] or self.proves_fin[end], self.fin_end[end]
        if fin is not None and fin_end is not None and row.ack >= fin_end:
            late = self.late_fin[end]
            if (late or fin).index > at.index:
                self.ends[end].early_acks.append(row)
            else:
                fins = [r for r in self.of(end) if self._is_fin(r) and not self._is_copy(r)]
                fins = [r for r in fins if not late or r is not fin]
                repeats = [r.index for r in fins if r.index > at.index]
                found += self._believe(Event.RECEIVE_ACK_OF_FIN, row.length == 0, repeats, end, at)
        return found

    def _is_refused(self, row: Row) -> bool:
        """A third segment that found no connection: all that its receiver says is an RST without ACK at its number."""
        if self.self_connect or row.side != 0 or row.length or row.seq != self.syn_end[0] or row.has(SYN):
            return False
        answer = next((r for r in self.of(1) if r.index > row.index), None)
        if answer is None or answer.flags & (RST | ACK) != RST or answer.seq != row.ack:
            return False
        between = any(row.index < r.index < answer.index for r in self.of(0))
        return not between and not any(
            r.plain_ack and r.index in self.counts and r.index < answer.index for r in self.of(1)
        )

    def _believe(self, event: Event, soft: bool, repeats: list[int], end: int, at: Row) -> list[tuple[Event, str]]:
        if not soft:
            self.proofs.setdefault((end, event), at.index)
        repeats = [row for row in repeats if row < self.proofs.get((end, event), len(self.rows))]
        if event in self.ends[end].done:
            if not soft:
                self.confirmed.setdefault((end, event), at.index)
            return []
        if soft and repeats:
            self.disproved.append((at.index, repeats[0], end, event))
            return []
        return [(event, "assumed" if soft else "acknowledged")]

    def _happen(self, end: int, events: list[tuple[Event, str]], at: int, once: bool = True) -> None:
        """Events of one group: one move, however many they are."""
        me = self.ends[end]
        before = me.state
        last: tuple[Event, str] | None = None
        for event, basis in events:
            if once and event not in (Event.SEND_RST, Event.RECEIVE_RST, Event.RECEIVE_RST_OF_SYN):
                if event in me.done:
                    if basis == "acknowledged":
                        self.confirmed.setdefault((end, event), at)
                    continue
                me.done.add(event)
            self.events.append((at, end, event))
            new = self._next(end, event)
            if new is not None and new is not me.state:
                if event in (Event.SEND_FIN, Event.RECEIVE_FIN) and self._is_in_doubt(end, event):
                    if last:
                        self.moves.append(Move(at, end, before, me.state, last[1], last[0]))
                    self.moves.append(Move(at, end, before, None, basis, event))
                    me.state, me.lost, last = None, True, None
                    continue
                me.state = new
                last = (event, basis)
        if last and me.state is not None:
            self.moves.append(Move(at, end, before, me.state, last[1], last[0]))

    def _is_in_doubt(self, end: int, event: Event) -> bool:
        return (end if event is Event.SEND_FIN else self.peer(end)) in self.in_doubt

    def _next(self, end: int, event: Event) -> State | None:
        state = self.ends[end].state
        if state is not None:
            return step(state, event)
        reset = event in (Event.RECEIVE_RST, Event.RECEIVE_RST_OF_SYN)
        if event is Event.SEND_RST or ((self.ends[end].unheard or self.ends[end].lost) and reset):
            return State.CLOSED
        return None

    # --- RST ---

    def _worth(self, row: Row) -> str:
        """now, assumed, waits or never."""
        receiver = self.peer(row.side)
        reached = self.ends[receiver].acknowledged
        if self._is_belied(row) or self._answers_unsent(row):
            return "never"
        if reached is None and self._is_refusal(row):  # RCV.NXT follows the SYN, or what a wrong SYN,ACK says
            return "now" if any(r.side == receiver and r.index < row.index for r in self.wrong) else "never"
        if reached is None and self._is_behind_syn_ack(row) and self._is_last_word(row):
            later = [r.ack for r in self.of(receiver) if r.index > row.index and r.index in self.counts]
            return "waits" if any(ack >= row.seq for ack in later) else "now"  # SYN-SENT drops it
        if reached is None:
            sent = [r.end for r in self.of(row.side) if self._advances(r) and r.index < row.index]
            goes_on = not self._is_last_word(row)
            return "never" if goes_on and sent and row.seq != max(sent) else "now"
        if reached == row.seq:
            return "now"
        if row.seq < reached or not self._is_last_word(row):
            return "never"
        later = [r.ack for r in self.of(receiver) if r.index > row.index and r.index in self.counts]
        if any(ack >= row.seq for ack in later):
            return "waits"
        silent = not any(r.index > row.index for r in self.of(receiver))
        ends = [r.end for r in self.of(row.side) if r.speaks]
        return "assumed" if silent and ends and row.seq == max(ends) else "never"

    def _is_refusal(self, row: Row) -> bool:
        """The answer to a wrong SYN,ACK: SYN-SENT goes on (Figure 8, line 5)."""
        if self._answers_unsent(row):
            return True
        receiver = self.peer(row.side)
        stray = [r for r in self.wrong if r.side == receiver and r.index < row.index]
        named = bool(stray) and self.ends[receiver].acknowledged is None and row.seq == stray[0].ack
        if named and not self._is_last_word(row):
            return True
        if self.bare[row.side] is None or 1 <= row.seq <= self.syn_end[row.side]:
            return False
        return not any(r.index < row.index and r.speaks and not r.has(SYN) for r in self.of(row.side))

    def _answers_unsent(self, row: Row) -> bool:
        """The answer to an ACK of what was never sent, before the handshake is over: SYN-RECEIVED goes on."""
        receiver = self.peer(row.side)
        heard = [r for r in self.of(receiver) if r.index < row.index]
        if row.has(ACK) or not heard or heard[-1].has(RST) or not heard[-1].has(ACK) or heard[-1].index in self.counts:
            return False
        answered = self.syn_ack[row.side]
        opened = answered is not None and answered.index < row.index
        over = any(r.index in self.counts and r.ack >= 1 for r in heard)
        return opened and not over and heard[-1].ack == row.seq

    def _is_belied(self, row: Row) -> bool:
        """Its sender went on, and the peer acknowledged what it sent then: nothing had been reset."""
        if self._is_last_word(row) or self._is_refusal(row):
            return False
        acknowledged = [r.ack for r in self.of(self.peer(row.side)) if r.index in self.counts]
        sent = [r.end for r in self.of(row.side) if self._advances(r) and r.index < row.index]
        return (bool(acknowledged) and (not sent or max(acknowledged) > max(sent))) or self._is_outlived(row)

    def _is_outlived(self, row: Row) -> bool:
        """TIME-WAIT acknowledges what came after it: it had ignored the RST."""
        sender, receiver = row.side, self.peer(row.side)
        for closer, other in ((sender, receiver), (receiver, sender)):
            fin_end = self.fin_end[closer]
            said = [r.ack for r in self.of(other) if r.index < row.index and r.index in self.counts]
            if fin_end is None or max(said, default=-SPAN) < fin_end:
                return False
        came = next((r for r in self.of(sender) if r.index > row.index and r.speaks and r.length), None)
        answer = came and next((r for r in self.of(receiver) if r.index > came.index), None)
        return answer is not None and answer.plain_ack

    def _is_of_syn(self, row: Row) -> bool:
        receiver = self.peer(row.side)
        return row.has(ACK) and self.bare[receiver] is not None and 1 <= row.ack <= self.syn_end[receiver]

    def _is_behind_syn_ack(self, row: Row) -> bool:
        """Its sender had answered the SYN, and it does not acknowledge the SYN itself."""
        receiver, opening = self.peer(row.side), self.syn_ack[row.side]
        wrong = any(r.side == receiver and r.index < row.index for r in self.wrong)
        asked = self.bare[receiver] is not None and not wrong
        return asked and opening is not None and opening.index < row.index and not self._is_of_syn(row)

    def _is_last_word(self, row: Row) -> bool:
        return self._last_spoken[row.side] < row.index

    def _takes_effect_later(self, row: Row) -> bool:
        receiver = self.peer(row.side)
        reached = self.ends[receiver].acknowledged
        for later in self.of(receiver):
            if later.index > row.index and later.index in self.counts:
                reached = later.ack if reached is None else max(reached, later.ack)
                if reached >= row.seq:
                    return reached == row.seq
        return False

    def _resets_itself(self, row: Row) -> bool:
        if self._is_refusal(row):
            return False
        worth = self._worth(row)
        return (
            self._is_last_word(row)
            or worth in ("now", "assumed")
            or (worth == "waits" and self._takes_effect_later(row))
        )

    def _arrive_reset(self, row: Row, receiver: int) -> None:
        worth = self._worth(row)
        of_syn = not self._is_belied(row) and self._is_of_syn(row)
        if worth == "waits":
            self.ends[receiver].pending_resets.append(row)
        self._reset(row, receiver, row, of_syn, worth in ("now", "assumed"))

    def _reset(self, row: Row, end: int, at: Row, of_syn: bool = False, plain: bool = True) -> None:
        before = self.ends[end].state
        events = [(Event.RECEIVE_RST_OF_SYN, "assumed")] if of_syn else []
        events += [(Event.RECEIVE_RST, "assumed")] if plain else []
        self._happen(end, events, at.index)
        if self.ends[end].state is not before:
            self.effective_resets.append((row, len(self.moves) - 1))

    # --- answers ---

    def states(self, side: int) -> tuple[str, ...] | None:
        end = 0 if self.self_connect else side
        start = self.ends[end].start
        labels = [start.label] if start else []
        for move in self.moves:
            if move.end == end and move.after and labels[-1:] != [move.after.label]:
                labels.append(move.after.label)
        return tuple(labels) or None

    def step_states(self) -> list[tuple[str, str]]:
        """Both states after each row, spelled as a scenario does."""
        believed = {
            (Event.RECEIVE_ACK_OF_SYN, State.SYN_RECEIVED_PASSIVE): "ESTABLISHED",
            (Event.RECEIVE_ACK_OF_SYN, State.SYN_RECEIVED_ACTIVE): "ESTABLISHED",
            (Event.RECEIVE_ACK_OF_FIN, State.FIN_WAIT_1): "FIN-WAIT-2",
            (Event.RECEIVE_ACK_OF_FIN, State.CLOSING): "TIME-WAIT",
            (Event.RECEIVE_ACK_OF_FIN, State.LAST_ACK): "CLOSED",
        }
        marks = {"sent": "^", "acknowledged": "!", "assumed": "?", None: ""}
        out = []
        for index, pair in enumerate(self.after):
            spelled = []
            for side, (state, basis) in enumerate(pair):
                if basis == "assumed" and self._is_confirmed(0 if self.self_connect else side, index):
                    basis = "acknowledged"
                text = f"{state.label}{marks[basis]}" if state else "-"
                end = 0 if self.self_connect else side
                for begin, until, whose, event in self.disproved:
                    if state and whose == end and begin <= index < until and (event, state) in believed:
                        text = believed[event, state] + "??"
                spelled.append(text)
            out.append((spelled[0], spelled[1]))
        return out

    def _is_confirmed(self, end: int, index: int) -> bool:
        """Has a proven segment brought, by row `index`, the news by which the end came into its state?"""
        moves = [m for m in self.moves if m.end == end and m.row <= index]
        proof = self.confirmed.get((end, moves[-1].event)) if moves else None
        return proof is not None and proof <= index

    def books(self, side: int) -> tuple[int, int] | None:
        """Octets sent by sequence numbers, and those in no captured segment; None without a SYN and a FIN."""
        last = self.fin_end[side]
        if not self.known[side] or last is None or last < 2:
            return None
        missing = [(1, last - 1)]
        for row in self.of(side):
            if row.speaks and row.octets:
                begin = row.seq + bool(row.flags & SYN)
                missing = [piece for hole in missing for piece in _without(hole, begin, begin + row.octets)]
        return last - 2, sum(b - a for a, b in missing)

    def closing_resets(self) -> list[tuple[Row, Move]]:
        """Effective RSTs, without those after which their receiver opened again (Figure 8)."""
        found = []
        for row, number in self.effective_resets:
            move = self.moves[number]
            if not any(m.end == move.end and m.after in SYNCHRONIZED for m in self.moves[number + 1 :]):
                found.append((row, move))
        if self.self_connect and not found:  # its own RST has closed the socket before it can arrive there
            found = [(self.rows[m.row], m) for m in self.moves if m.event is Event.SEND_RST]
        return found

    def visited(self, side: int) -> set[State | None]:
        end = 0 if self.self_connect else side
        start = self.ends[end].start
        return {move.after for move in self.moves if move.end == end} | ({start} if start else set())


def _without(hole: tuple[int, int], begin: int, end: int) -> list[tuple[int, int]]:
    """What remains of a hole when `begin` to `end` is filled."""
    pieces = [(hole[0], min(hole[1], begin)), (max(hole[0], end), hole[1])]
    return [(a, b) for a, b in pieces if a < b]


def _originator(segments: Sequence[Segment], ignored: set[int]) -> str:
    for index, one in enumerate(segments):
        if one.flags & (SYN | ACK | RST) == SYN and index not in ignored:
            return one.sender
    for one in segments:
        if one.flags & (SYN | ACK | RST) == SYN | ACK:
            return "B" if one.sender == "A" else "A"
    return segments[0].sender


# --- one conversation ------------------------------------------------------------------------------------------------


def split(segments: Sequence[Segment]) -> list[tuple[int, int, set[int]]]:
    """Cut a conversation: (first, end, the ignored SYNs counted from first) of each connection."""
    begins, ignored = [0], set()
    syn_of: dict[str, int] = {}
    for i, one in enumerate(segments):
        if one.flags & (SYN | ACK | RST) == SYN | ACK and _answers_another(segments, begins[-1], i):
            begins.append(i)
        if one.flags & (SYN | ACK | RST) != SYN:
            continue
        peer = "B" if one.sender == "A" else "A"
        before, other = syn_of.get(one.sender), syn_of.get(peer)
        syn_of[one.sender] = i
        begin = begins[-1]
        if before is not None and segments[before].seq == one.seq and not _closed_since_syn(segments, before, i):
            if before in ignored:
                ignored.add(i)
            continue
        if i == begin:
            continue
        if (before is None or before < begin) and any(
            answer.flags & (SYN | ACK | RST) == SYN | ACK
            and answer.sender != one.sender
            and (answer.ack - one.seq) % MODULUS == 1
            for answer in segments[begin:i]
        ):
            continue
        if (
            other is not None
            and other >= begin
            and not _closed_between(segments, other, i)
            and not any(r.sender == one.sender for r in segments[other:i])
        ):
            continue
        answer_row = next((k for k in range(i + 1, len(segments)) if segments[k].sender == peer), None)
        if answer_row is not None and _is_no_answer(segments, i, answer_row):
            ignored.add(i)
            continue
        begins.append(i)
    return [(a, b, {i - a for i in ignored if a <= i < b}) for a, b in pairwise([*begins, len(segments)])]


def _closed_between(segments: Sequence[Segment], a: int, b: int) -> bool:
    return any(one.flags & (FIN | RST) for one in segments[a:b])


def _closed_since_syn(segments: Sequence[Segment], syn: int, i: int) -> bool:
    """As before, but for a bare RST with a number that is not the SYN's, in answer to a SYN,ACK: SYN-SENT goes on."""
    sender, number, silent, heard = segments[syn].sender, segments[syn].seq, True, SYN | ACK
    for one in segments[syn + 1 : i]:
        if one.flags & (FIN | RST):
            own = one.sender == sender and silent and one.flags & (RST | ACK) == RST
            if not own or heard != SYN | ACK or 1 <= (one.seq - number) % MODULUS <= 1 + segments[syn].octets:
                return True
        elif one.sender == sender:
            silent = False
        if one.sender != sender:
            heard = one.flags & (SYN | ACK | RST)
    return False


def _answers_another(segments: Sequence[Segment], begin: int, answer: int) -> bool:
    """A SYN,ACK that fits no SYN of this connection, which is over or has another: its SYN is missing or late."""
    one = segments[answer]
    before = [r for r in segments[begin:answer] if r.flags & (SYN | ACK | RST) == SYN | ACK]
    if before and all(r.sender == one.sender for r in segments):  # it has only its own numbers to tell by
        numbers = {r.seq for r in segments[begin:answer] if r.flags & (SYN | RST) == SYN}
        return one.seq not in numbers and one.ack not in {r.ack for r in before}
    late = _is_before_its_syn(segments, begin, answer)
    if not late and {r.sender for r in segments[begin:answer] if r.flags & (FIN | RST) == FIN} != {"A", "B"}:
        return False
    for syn in segments[begin:answer]:
        if syn.flags & (SYN | RST) == SYN:
            if syn.sender == one.sender and syn.seq == one.seq:
                return False
            if syn.sender != one.sender and (one.ack - syn.seq - 1) % MODULUS <= syn.octets:
                return False
    if late:
        return True
    following = next((r for r in segments[answer:] if r.sender != one.sender), None)
    return following is not None and following.ack == (one.seq + 1) % MODULUS


def _is_before_its_syn(segments: Sequence[Segment], begin: int, answer: int) -> bool:
    """Is the next SYN of the peer the one that it answers? And has the peer sent one for this connection, too?"""
    one = segments[answer]
    of_peer = [k for k, r in enumerate(segments) if r.sender != one.sender and r.flags & (SYN | ACK | RST) == SYN]
    following = next((segments[k] for k in of_peer if k > answer), None)
    answers = following is not None and one.ack == (following.seq + 1) % MODULUS
    return answers and any(begin <= k < answer for k in of_peer)


def _is_no_answer(segments: Sequence[Segment], syn: int, answer_row: int) -> bool:
    """The peer's next segment is an ACK of other numbers: a challenge ACK (RFC 5961 §4)."""
    answer = segments[answer_row]
    if answer.flags & (SYN | ACK | RST) != ACK:
        return False
    if not 0 < signed(answer.ack - segments[syn].seq) <= 1 << 24:
        return True
    # It says again what it said before the SYN: no news of the SYN.
    said = [r.ack for r in segments[:syn] if r.sender == answer.sender and r.flags & (RST | ACK) == ACK]
    return said[-1:] == [answer.ack]


# --- kinds (DESIGN's two tables, top to bottom) ----------------------------------------------------------------------


@dataclass
class Kinds:
    """The verdicts that are compared."""

    handshake: str
    teardown: str
    closed_first: str | None
    reset_by: str | None


SIDES = ("originator", "responder")


def kinds(one: Oracle) -> Kinds:
    senders = {SIDES[row.side] for row, _ in one.closing_resets()}
    return Kinds(
        handshake=_handshake(one),
        teardown=_teardown(one),
        closed_first=_closed_first(one),
        reset_by=None if not senders else senders.pop() if len(senders) == 1 else "both",
    )


def is_complete(one: Oracle) -> bool | None:
    if not one.known[0]:
        return None
    return all(one.visited(side) & SYNCHRONIZED for side in (0, 1))


def _handshake(one: Oracle) -> str:
    complete = is_complete(one)
    responder = one.peer(0)
    thirds = [r for r in one.of(0) if r.plain_ack]
    right = [r for r in thirds if r.index in one.counts and r.ack >= 1 and r.seq >= 1]
    if complete is None:
        return "not-captured"
    if complete:
        if one.self_connect:
            return "self-connect"
        if one.bare[0] and one.bare[1]:
            return "simultaneous-open"
        answer = one.syn_ack[responder]
        if not one.bare[0] or not answer or not right:
            return "partial"
        return "fast-open" if one.syn_end[0] > 1 and answer.ack > 1 else "three-way"
    received = (State.SYN_RECEIVED_PASSIVE, State.SYN_RECEIVED_ACTIVE)
    gave_up = any(move.event is Event.SEND_RST and move.before in received for move in one.moves)
    reset = bool(one.effective_resets) or gave_up
    wrong = one.wrong_answers()
    if one.syn_ack[responder] or wrong or one.crosses or (one.bare[0] and one.bare[1]):
        return _failed(one, thirds, right, reset)
    if any(move.end == 0 and move.event is Event.RECEIVE_RST_OF_SYN for move in one.moves):
        return "refused"
    if State.SYN_RECEIVED_PASSIVE in one.visited(1):
        return "abandoned" if reset else "half-open"
    return "unanswered"


def _failed(one: Oracle, thirds: list[Row], right: list[Row], reset: bool) -> str:
    """An answer was captured, and the handshake came to nothing."""
    if one.syn_ack[one.peer(0)] or one.bare[one.peer(0)] or one.crosses:
        if thirds and not any(row.seq <= one.syn_end[0] for row in right):
            return "invalid"
    elif one.wrong_answers() and thirds:
        return "invalid"
    else:
        return "abandoned" if reset else "half-open"
    return "abandoned" if reset and not one.visited(1) & SYNCHRONIZED else "half-open"


def _fin_sent(one: Oracle, side: int) -> int | None:
    return next((k for k, (_, end, event) in enumerate(one.events) if end == side and event is Event.SEND_FIN), None)


def _acked(one: Oracle, side: int) -> int | None:
    found = (k for k, (_, end, event) in enumerate(one.events) if end == side and event is Event.RECEIVE_ACK_OF_FIN)
    return next(found, None)


def _teardown(one: Oracle) -> str:
    if is_complete(one) is False:
        return "none"
    ends = (0,) if one.self_connect else (0, 1)
    sent = {side: at for side in ends if (at := _fin_sent(one, side)) is not None}
    acked = {side: at for side in ends if (at := _acked(one, side)) is not None}
    first_reset = next(
        (
            k
            for _, move in one.closing_resets()
            for k, (row, end, event) in enumerate(one.events)
            if (row, end, event) == (move.row, move.end, move.event)
        ),
        None,
    )
    both = len(sent) == len(acked) == len(ends)
    if both and (first_reset is None or first_reset > max(acked.values())):
        if any(one.proves_fin):
            return "partial"
        visited = [one.visited(side) for side in (0, 1)]
        if any(State.CLOSING in states for states in visited):
            return "simultaneous-close"
        return "four-way" if any(State.FIN_WAIT_2 in states for states in visited) else "three-segment"
    alone = not one.self_connect and any(not one.of(side) for side in (0, 1))
    if one.in_doubt and (alone or (acked and (first_reset is None or first_reset > max(acked.values())))):
        return "partial"
    if first_reset is not None:
        return "reset-after-fin" if any(at < first_reset for at in sent.values()) else "aborted"
    if not sent:
        return "open"
    if alone:
        return "partial"
    return "half-closed" if len(sent) == len(acked) == 1 and not one.self_connect else "incomplete"


def _closed_first(one: Oracle) -> str | None:
    sent = {side: at for side in (0, 1) if (at := _fin_sent(one, side)) is not None}
    if not sent or one.in_doubt:
        return None
    if one.self_connect:
        return "both"
    first = min(sent, key=lambda side: sent[side])
    second = 1 - first
    if second not in sent:
        return SIDES[first] if one.of(second) else None
    # Had the second heard of the first one's FIN when it sent its own?
    received = next(
        (k for k, (_, end, event) in enumerate(one.events) if end == second and event is Event.RECEIVE_FIN), None
    )
    return SIDES[first] if received is not None and received < sent[second] else "both"
