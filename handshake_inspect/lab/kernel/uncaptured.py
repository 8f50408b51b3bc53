"""What a socket did without a segment that shows it: states of the kernel that a capture cannot have.

In: the sockets that were one end of a connection (`association`), and the segments of that connection. Out: their
states one after another, those that no segment shows marked so, each by its line of `differences`; and what is hidden
of an end that had no socket. Each rule names the segment on whose absence, or presence, it rests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from handshake_inspect.connections.connection import End, Step
from handshake_inspect.lab.kernel.account import KernelAccount
from handshake_inspect.lab.kernel.association import AT_ONCE_NS
from handshake_inspect.lab.kernel.translation import NO_SOCKET, KernelState, Life

#: connect() that ended where it began.
ATTEMPT = ("CLOSED", "SYN-SENT", "CLOSED")
#: The states into which an end's own FIN leads.
BY_OWN_FIN = ("FIN-WAIT-1", "LAST-ACK")
#: The states that one segment with an ACK and a FIN leads through, and what is seen before and after: the third one may
#: be such a segment, and the one that acknowledges our FIN (RFC 9293 §3.3.2, Figure 5, note 2). A look may miss states.
WITHIN_SEGMENT = {
    "ESTABLISHED": ({"LISTEN", "SYN-RECEIVED"}, {"CLOSE-WAIT", "LAST-ACK", "CLOSED"}),
    "FIN-WAIT-2": ({"SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1"}, {"TIME-WAIT", "CLOSED"}),
}
#: A busy machine may hold a socket up between the two steps of one segment. Not so long: the peer would send it again
#: (TCP_RTO_MIN of Linux).
HELD_UP_NS = 200_000_000


def states_of(found: Sequence[Life], end: End, steps: Sequence[Step], account: KernelAccount) -> list[KernelState]:
    """Return the states of the sockets of one end in order. Where one ends as the next begins, that is one state."""
    joined: list[KernelState] = []
    for life in found:
        states = without_segment(life, end, steps, account, is_first=life is found[0])
        joined += states[1:] if joined and joined[-1].state == states[0].state else states
    return joined


def without_segment(
    life: Life, end: End, steps: Sequence[Step], account: KernelAccount, *, is_first: bool
) -> list[KernelState]:
    """Return the states of one socket, those marked that no segment shows."""
    states = list(life.states)
    sent_syn = life.began if life.active else is_first or end == "responder"
    opened = next((number for number, state in enumerate(states) if state.state == "ESTABLISHED"), None)
    if not sent_syn and tuple(state.state for state in states) == ATTEMPT:
        if not captured_syn(life, states[-1], end, steps, account):
            return [unshown(state, "no-syn") for state in states]
    elif opened is not None:
        is_unseen = (life.active or not sent_syn) and not captured_syn(life, states[opened], end, steps, account)
        # Samples do not show how it began; an originator of which no SYN was captured began before the capture.
        if is_first and (not life.traced or end == "originator"):
            is_unseen |= not any(sends_syn(step, end) for step in steps)
        if is_unseen:
            states[: opened + 1] = [unshown(state, "repair") for state in states[: opened + 1]]
    for number, state in enumerate(states):
        if state.state in BY_OWN_FIN and not captured_fin(states[number:], end, steps, account):
            states[number] = unshown(state, "no-fin")
        elif is_within_segment(states, number, end, steps, account):
            states[number] = unshown(state, "one-segment")
    *before, last = states
    if last.note == "request-gone" and has_reset(last, end, steps, account):
        states[-1] = replace(last, state="CLOSED", note="request-reset")
    elif last.state == "CLOSED" and is_silent(before[-1:], last, end, steps, account):
        states[-1] = unshown(last, last.note or "silent")
    return states


def unshown(state: KernelState, note: str) -> KernelState:
    """Return a state as one that no segment shows."""
    return replace(state, note=note, optional=True)


def captured_syn(life: Life, until: KernelState, end: End, steps: Sequence[Step], account: KernelAccount) -> bool:
    """Tell whether a SYN of this end was captured from the beginning of a socket to one of its states."""
    earliest_ns = life.begin_ns - AT_ONCE_NS - (0 if life.traced else account.longest_gap_ns)
    return any(sends_syn(step, end) and earliest_ns <= step.time_ns <= latest_ns_of(until, account) for step in steps)


def sends_syn(step: Step, end: End) -> bool:
    """Is it a SYN or SYN-ACK of this end?"""
    return "SYN" in step.flags and step.sender == end


def captured_fin(states: Sequence[KernelState], end: End, steps: Sequence[Step], account: KernelAccount) -> bool:
    """Tell whether a FIN of this end was captured from the first of these states on, until the next one is over."""
    earliest_ns = (states[0].time_ns or 0) - AT_ONCE_NS - account.longest_gap_ns
    over_ns = [latest_ns_of(state, account) for state in states[1:2]]
    return any(
        "FIN" in step.flags and step.sender == end and earliest_ns <= step.time_ns <= min(over_ns, default=step.time_ns)
        for step in steps
    )


def is_within_segment(
    states: Sequence[KernelState], number: int, end: End, steps: Sequence[Step], account: KernelAccount
) -> bool:
    """Tell whether a state may be a step within one segment: the peer's FIN was captured by then.

    On a busy machine several looks may find the same instant. A mini socket is no step: a segment without FIN leads to
    it.
    """
    one, before, after = states[number], states[:number][-1:], states[number + 1 :][:1]
    if one.state not in WITHIN_SEGMENT or one.note is not None or one.time_ns is None:
        return False
    leads_from, leads_to = WITHIN_SEGMENT[one.state]
    if any(other.state not in leads_from for other in before) or any(other.state not in leads_to for other in after):
        return False
    if any((other.time_ns or 0) - latest_ns_of(one, account) > HELD_UP_NS for other in after):
        return False
    return any(
        "FIN" in step.flags and step.sender != end and step.time_ns <= latest_ns_of(one, account) for step in steps
    )


def has_reset(last: KernelState, end: End, steps: Sequence[Step], account: KernelAccount) -> bool:
    """Tell whether this end sent an RST as it came to a state."""
    return any("RST" in step.flags and step.sender == end for step in at(last, steps, account))


def is_silent(
    before: Sequence[KernelState], last: KernelState, end: End, steps: Sequence[Step], account: KernelAccount
) -> bool:
    """Tell whether a socket ended by itself: no segment of that time can have ended it.

    An RST of either end can, and in LAST-ACK any segment of the peer.
    """
    acknowledges = any(state.state == "LAST-ACK" for state in before)
    return last.time_ns is not None and not any(
        "RST" in step.flags or (acknowledges and step.sender != end) for step in at(last, steps, account)
    )


def at(state: KernelState, steps: Sequence[Step], account: KernelAccount) -> list[Step]:
    """Return the segments that can have led to a state.

    A sample is younger than the change that it shows, by the time since the sample before.
    """
    assert state.time_ns is not None
    earliest_ns = state.time_ns - AT_ONCE_NS - (account.longest_gap_ns if state.source == "sampled" else 0)
    return [step for step in steps if earliest_ns <= step.time_ns <= latest_ns_of(state, account)]


def latest_ns_of(state: KernelState, account: KernelAccount) -> int:
    """Return until when a segment was captured that led to a state.

    A sample has the time at which the look began, and shows what was there before the look was over.
    """
    assert state.time_ns is not None
    return state.time_ns + AT_ONCE_NS + (account.longest_gap_ns if state.source == "sampled" else 0)


def hidden_of(found: Sequence[Life], end: End, steps: Sequence[Step], earlier: Sequence[Step]) -> dict[str, str]:
    """Return the states that an end may have had and that the kernel does not show, each with its line.

    `earlier`: the first segment of each earlier connection between the same addresses.
    """
    if found:
        return {state: note for life in found for state, note in life.hidden.items()}
    first = steps[0]
    is_copy = any((one.sender, one.flags, one.seq) == (first.sender, first.flags, first.seq) for one in earlier)
    return NO_SOCKET | ({"SYN-SENT": "old-copy"} if is_copy and end == "originator" else {})
