"""Names each opening and closing by the states and events that were found; states are never derived from names.

In: a `Shape`. Out: `Judgement`. This runs once per shape.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

from handshake_inspect.connections.connection import End, EndOrBoth, FastOpen, HandshakeKind, TeardownKind
from handshake_inspect.connections.events.events import RESPONDER_BIT, UNPLACED_BIT
from handshake_inspect.connections.events.machine import ASSUMED, MEANING, RESETS, Move, Walk, walk
from handshake_inspect.connections.events.shapes import Fact, Shape
from handshake_inspect.connections.splitting.rows import ORIGINATOR, RESPONDER
from handshake_inspect.plain import frozen, plain
from handshake_inspect.tcp.states import Event, State, StateName

SIDES: tuple[End, End] = ("originator", "responder")

#: States in which an end knows that both have agreed on the numbers ("synchronized" in RFC 9293 §3.10.7.4).
SYNCHRONIZED: set[State | None] = {
    State.ESTABLISHED,
    State.FIN_WAIT_1,
    State.FIN_WAIT_2,
    State.CLOSE_WAIT,
    State.CLOSING,
    State.LAST_ACK,
    State.TIME_WAIT,
    None,  # a closing state, unknown which
}


@plain
class Waiting:
    """One end's TIME-WAIT."""

    end: int
    #: Index in the event string of the event that entered it, from 0.
    entered: int
    #: How an RST ended it ("killed", "forgotten"), and the index of that event; None if no RST did.
    cut_short: str | None
    cut: int | None


@frozen
class Judgement:
    """Everything that equal shapes have in common. Field names are those of the JSON contract."""

    walk: Walk
    states: tuple[tuple[StateName, ...] | None, tuple[StateName, ...] | None]
    handshake_kind: HandshakeKind
    handshake_complete: bool | None
    handshake_missing: tuple[str, ...]
    fast_open: FastOpen | None
    teardown_kind: TeardownKind
    teardown_complete: bool | None
    teardown_missing: tuple[str, ...]
    closed_first: EndOrBoth | None
    reset_by: EndOrBoth | None
    #: Each end's TIME-WAIT.
    time_wait: tuple[Waiting, ...]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Hash some fields, including the event of each move: hardly any two judgements that differ have equal hashes.

        With random control bits there are thousands of judgements, and to compare two of them takes longer than to hash
        one. The hash is used in each partition; a fork of this process, which decides some of them, computes the same.
        """
        moves = tuple([m.ordinal << 6 | m.end << 5 | (m.basis == ASSUMED) << 4 | m.event for m in self.walk.moves])
        return hash((moves, self.states, self.handshake_kind, self.teardown_kind, self.closed_first, self.reset_by))


#: The first of equal judgements, of which shapes have many: comparing an object with itself takes no look at its
#: fields.
_KNOWN: dict[Judgement, Judgement] = {}
MOST_KNOWN = 1 << 13


@lru_cache(maxsize=1 << 14)
def judge(shape: Shape) -> Judgement:
    """Apply the table along a shape and name the opening and the closing.

    Segments with random control bits and numbers have 9,000 shapes, and 4,300 judgements, in every partition.
    """
    if len(_KNOWN) >= MOST_KNOWN:
        _KNOWN.clear()
    judgement = _judged(shape)
    return _KNOWN.setdefault(judgement, judgement)


def _judged(shape: Shape) -> Judgement:
    walked = walk(shape.start, bool(shape.facts & Fact.SELF_CONNECT), shape.codes)
    complete = _handshake_complete(shape, walked)
    kind, missing = _handshake_kind(shape, walked, complete)
    closing = _Closing(shape, walked)
    teardown, closed, lost = closing.kind(opened=complete is not False)
    return Judgement(
        walk=walked,
        states=(walked.states(ORIGINATOR), walked.states(RESPONDER)),
        handshake_kind=kind,
        handshake_complete=complete,
        handshake_missing=missing,
        fast_open=_fast_open(shape.facts),
        teardown_kind=teardown,
        teardown_complete=closed,
        teardown_missing=lost,
        closed_first=closing.closed_first(),
        reset_by=_both([_sender(shape, ordinal) for ordinal in closing.resets]),
        time_wait=tuple(
            Waiting(m.end, m.ordinal, *_cut_short(walked, m.end))
            for m in walked.moves
            # The two ends of a self-connect are one socket.
            if m.after is State.TIME_WAIT and not (m.end == RESPONDER and shape.facts & Fact.SELF_CONNECT)
        ),
    )


def _sender(shape: Shape, ordinal: int) -> End:
    if shape.facts & Fact.SELF_CONNECT:
        return SIDES[ORIGINATOR]
    received_by_responder = bool(shape.codes[ordinal] & RESPONDER_BIT)
    return SIDES[ORIGINATOR if received_by_responder else RESPONDER]


def _both(sides: list[End]) -> EndOrBoth | None:
    if not sides:
        return None
    return sides[0] if len(set(sides)) == 1 else "both"


def _opens_later(walked: Walk, reset: Move) -> bool:
    """Return whether the end that was reset opened later: then the RST only refused an old duplicate (Figure 8)."""
    return any(m.end == reset.end and m.ordinal > reset.ordinal and m.after in SYNCHRONIZED for m in walked.moves)


def _cut_short(walked: Walk, end: int) -> tuple[str | None, int | None]:
    """Return how an RST ended TIME-WAIT ("killed", "forgotten") and the index of that event; None for both if none did.

    Killed: the end received an RST (RFC 1337). Forgotten: it sent one, so its TIME-WAIT was gone. §3.10.7.4: TIME-WAIT
    acknowledges what arrives; only an end without a connection answers with an RST (§3.10.7.1).
    """
    left = [m for m in walked.moves if m.end == end and m.before is State.TIME_WAIT]
    how = {Event.RECEIVE_RST: "killed", Event.SEND_RST: "forgotten"}.get(left[-1].event) if left else None
    return how, left[-1].ordinal if how else None


# --- opening ---------------------------------------------------------------------------------------------------------


def _handshake_complete(shape: Shape, walked: Walk) -> bool | None:
    if not shape.facts & Fact.OPENING_KNOWN:
        return None
    originator, responder = walked.visited
    return not (originator.isdisjoint(SYNCHRONIZED) or responder.isdisjoint(SYNCHRONIZED))


def _handshake_kind(shape: Shape, walked: Walk, complete: bool | None) -> tuple[HandshakeKind, tuple[str, ...]]:
    facts = shape.facts
    if complete is None:
        return "not-captured", ()
    if complete:
        missing = _missing_of_opening(facts)
        if facts & Fact.SELF_CONNECT:
            return "self-connect", ()
        if facts & Fact.BOTH_SYN:
            return "simultaneous-open", ()
        if missing:
            return "partial", missing
        return ("fast-open" if facts & Fact.FAST_OPEN_ACCEPTED else "three-way"), ()
    return _failed_kind(facts, walked), ("syn",) if not facts & Fact.SYN_CAPTURED else ()


def _missing_of_opening(facts: int) -> tuple[str, ...]:
    found = (
        ("syn", facts & Fact.SYN_CAPTURED),
        ("syn-ack", facts & (Fact.SYN_ACK_CAPTURED | Fact.BOTH_SYN)),
        ("ack", facts & Fact.ACK_CAPTURED),
    )
    return tuple(name for name, captured in found if not captured)


def _failed_kind(facts: int, walked: Walk) -> HandshakeKind:
    reset = bool(walked.effective_resets) or _given_up(walked)
    if facts & (Fact.SYN_ACK_CAPTURED | Fact.BOTH_SYN | Fact.CROSSING_SYN):
        if facts & Fact.WRONG_ACK:
            return "invalid"
        return "abandoned" if reset and not walked.visited[RESPONDER] & SYNCHRONIZED else "half-open"
    if facts & Fact.WRONG_SYN_ACK:
        if facts & (Fact.ACK_CAPTURED | Fact.WRONG_ACK):
            return "invalid"
        return "abandoned" if reset else "half-open"
    if any(m.end == ORIGINATOR and m.event is Event.RECEIVE_RST_OF_SYN for m in walked.moves):
        return "refused"
    if State.SYN_RECEIVED_PASSIVE in walked.visited[RESPONDER]:
        return "abandoned" if reset else "half-open"
    return "unreachable" if facts & Fact.UNREACHABLE else "unanswered"


def _given_up(walked: Walk) -> bool:
    """Return whether an end in SYN-RECEIVED aborted (RFC 9293 §3.10.5).

    Its connection is gone, even if its peer, not proven to have left SYN-SENT, must drop an RST that does not
    acknowledge its SYN.
    """
    received = (State.SYN_RECEIVED_PASSIVE, State.SYN_RECEIVED_ACTIVE)
    return any(move.event is Event.SEND_RST and move.before in received for move in walked.moves)


def _fast_open(facts: int) -> FastOpen | None:
    if facts & Fact.FAST_OPEN_ACCEPTED:
        return "accepted"
    if not facts & Fact.FAST_OPEN_REQUESTED:
        return None
    if facts & Fact.FAST_OPEN_DATA and facts & Fact.SYN_ACK_CAPTURED:
        return "declined"
    return "requested"


# --- closing ---------------------------------------------------------------------------------------------------------


class _Closing:
    """The FINs and RSTs of an event string, and the kind of closing that they make."""

    def __init__(self, shape: Shape, walked: Walk) -> None:
        self._facts, self._walked = shape.facts, walked
        #: Ordinals of the RSTs that ended the connection.
        ending = RESETS | {Event.SEND_RST} if shape.facts & Fact.SELF_CONNECT else RESETS
        self.resets = [m.ordinal for m in walked.moves if m.event in ending and not _opens_later(walked, m)]
        self._sent: dict[int, int] = {}
        self._acked: dict[int, int] = {}
        self._received: dict[int, int] = {}
        #: Whether there is a FIN of which it is unknown whether it is the first or the second.
        self._unplaced = False
        for ordinal, code in enumerate(shape.codes):
            event, end = MEANING[code]
            if event is Event.SEND_FIN:
                self._sent.setdefault(end, ordinal)
                self._unplaced |= bool(code & UNPLACED_BIT)
            elif event is Event.RECEIVE_ACK_OF_FIN:
                self._acked.setdefault(end, ordinal)
            elif event is Event.RECEIVE_FIN:
                self._received.setdefault(end, ordinal)
        self._self_connect = bool(shape.facts & Fact.SELF_CONNECT)

    def kind(self, opened: bool) -> tuple[TeardownKind, bool | None, tuple[str, ...]]:
        """Return kind, complete and missing of the teardown."""
        if not opened:
            return "none", None, ()
        reset = next(iter(self.resets), None)
        if self._both_acknowledged() and self._acknowledged_before(reset):
            return self._complete_kind(), True, self._missing()
        if self._unplaced and (self._one_direction() or self._acknowledged_before(reset)):
            return "partial", None if reset is None else True, ()
        if reset is not None:
            after_fin = any(ordinal < reset for ordinal in self._sent.values())
            return ("reset-after-fin" if after_fin else "aborted"), True, ()
        if not self._sent:
            return "open", None, ()
        if self._one_direction():
            return "partial", None, ()
        if len(self._sent) == 1 and len(self._acked) == 1 and not self._self_connect:
            return "half-closed", False, ()
        return "incomplete", False, ()

    def closed_first(self) -> EndOrBoth | None:
        """Return whose FIN came first; "both" if they crossed; None if none was sent, or if it is unknown."""
        if not self._sent or self._unplaced:
            return None
        if self._self_connect:
            return "both"
        first = min(self._sent, key=lambda end: self._sent[end])
        second = 1 - first
        if second not in self._sent:
            # An end that was not captured may have had a FIN in flight.
            return None if self._one_direction() else SIDES[first]
        knew = second in self._received and self._received[second] < self._sent[second]
        return SIDES[first] if knew else "both"

    def _acknowledged_before(self, reset: int | None) -> bool:
        return bool(self._acked) and (reset is None or reset > max(self._acked.values()))

    def _both_acknowledged(self) -> bool:
        ends = {ORIGINATOR} if self._self_connect else {ORIGINATOR, RESPONDER}
        return self._sent.keys() >= ends and self._acked.keys() >= ends

    def _complete_kind(self) -> TeardownKind:
        if self._missing():
            return "partial"
        visited = self._walked.visited
        # An end enters CLOSING if the peer's FIN was sent before its own had arrived: the FINs crossed, whichever was
        # sent first (RFC 9293 §3.6, Figure 13).
        if any(State.CLOSING in states for states in visited):
            return "simultaneous-close"
        return "four-way" if any(State.FIN_WAIT_2 in states for states in visited) else "three-segment"

    def _missing(self) -> tuple[str, ...]:
        inferred = (self._facts & Fact.ORIGINATOR_FIN_INFERRED, self._facts & Fact.RESPONDER_FIN_INFERRED)
        if not any(inferred):
            return ()
        first = min(self._sent, key=lambda end: self._sent[end])
        return tuple(name for name, end in (("fin", first), ("peer-fin", 1 - first)) if inferred[end])

    def _one_direction(self) -> bool:
        return bool(self._facts & (Fact.ORIGINATOR_SILENT | Fact.RESPONDER_SILENT)) and not self._self_connect
