"""The states beside a segment, and how each is written.

In: a connection and its steps. Out: the states that changed, those passed within one segment, a line each, and text
with the sign of their basis. A state without a sign is the end's own act, or proven by its peer's numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from handshake_inspect.connections.connection import ENDS, Connection, End, Pair, StateAt, Step

#: The hues are those of `views.palette`, as near as a terminal's own colours come: orange is its yellow.
STATE_STYLES = {
    "CLOSED": "bright_black",
    "LISTEN": "bright_black",
    "SYN-SENT": "blue",
    "SYN-RECEIVED": "blue",
    "ESTABLISHED": "bold green",
    "TIME-WAIT": "bold magenta",
}
#: In place of a state: the end has left the one before it, and what the capture missed would tell for which.
NOT_CAPTURED = "not captured"
CLOSING_STYLE = "yellow"
_SAME: Pair[StateAt | None] = Pair(None, None)
#: Signs behind a state, and what the legend says about each.
ASSUMED, DISPROVED, BY_TIMER = "?", "✗", "~"
LEGEND = {
    ASSUMED: "assumed: the segment was seen, its arrival is not proven by any later number",
    DISPROVED: "assumed at that moment, and disproved by a later segment",
    BY_TIMER: "by a timer, which no segment shows",
}


def sign_of(at: StateAt) -> str:
    """Return the sign of a state's basis; "" for what is proven."""
    if at.state is None:
        return ""
    return DISPROVED if at.disproved else {"assumed": ASSUMED, "timer": BY_TIMER}.get(at.basis or "", "")


def state_text(at: StateAt | None) -> Text:
    """Return a state with the sign of its basis; empty if it did not change or nothing is known."""
    if at is None or at.state is None:
        return Text()
    sign = sign_of(at)
    if at.state == NOT_CAPTURED:
        return Text(at.state, "dim")
    style = STATE_STYLES.get(at.state, CLOSING_STYLE)
    if not sign:
        return Text(at.state, style)
    return Text(at.state, "dim " + style.removeprefix("bold ")).append(sign, "red" if at.disproved else "dim")


class StateWalk:
    """Finds the states to print beside each segment: those that changed, and those passed within it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.last: dict[End, StateAt | None] = {"originator": None, "responder": None}
        #: Those after the step before, which steps that change nothing share.
        self._before: Pair[StateAt] | None = None

    def before_first(self) -> Pair[StateAt] | None:
        """Return the states before the first segment, where the list begins there (CLOSED or LISTEN)."""
        unknown = StateAt(None, None)
        for end in ENDS:
            states = self.connection.states[end]
            if states and states[0] in ("CLOSED", "LISTEN"):
                self.last[end] = StateAt(states[0], None)
        if not any(self.last.values()):
            return None
        return Pair(self.last["originator"] or unknown, self.last["responder"] or unknown)

    def past(self, steps: Sequence[Step]) -> Pair[StateAt] | None:
        """Pass over `steps` that are not shown; return the states after them."""
        for step in steps:
            self.after(step)
        return steps[-1].states if steps else None

    def after(self, step: Step) -> tuple[list[tuple[StateAt | None, StateAt | None]], Pair[StateAt | None]]:
        """Return the states passed within `step`, a pair per line, and those it ends in where they changed."""
        if step.states is self._before:
            return [], _SAME
        self._before = step.states
        now = step.states
        left, right = step.passed.originator, step.passed.responder
        lines = max(len(left), len(right))
        above = [(_item(left, index), _item(right, index)) for index in range(-lines, 0)]
        return above, Pair(self._changed("originator", now.originator), self._changed("responder", now.responder))

    def _changed(self, end: End, now: StateAt) -> StateAt | None:
        last = self.last[end]
        self.last[end] = now
        if last is None:
            return now
        if now.state is None and last.state is not None:
            return StateAt(NOT_CAPTURED, None)
        same = now.state == last.state and now.disproved == last.disproved
        proven = last.basis == "assumed" and now.basis in ("sent", "acknowledged")
        return None if same and not proven else now


def _item(states: Sequence[StateAt], index: int) -> StateAt | None:
    return states[index] if -len(states) <= index else None
