"""The ledger of TIME-WAIT, one row for each: the columns of a table for people.

In: `Owed`, one at a time. Out: columns for `table.layout`.
"""

from __future__ import annotations

from collections.abc import Callable

from handshake_inspect.connections.ledger.ledger import Owed
from handshake_inspect.quantities import seconds
from handshake_inspect.views.escape import printable
from handshake_inspect.views.short_sockets import SHORTEST_SOCKET, cut_socket, narrow_socket
from handshake_inspect.views.table import Column, cell_width, cut_end, cut_path, narrow_path
from handshake_inspect.views.words import frame_text

#: `time_wait[].reuse.rules` in few words: 2 MSL were over, a newer timestamp, a higher initial number (RFC 6191 §2).
RULES = {"expired": "expired", "timestamps": "TS", "initial-number": "ISN"}
#: Stands before the rules, which a narrow terminal has no room for; and to what the end is cut if it is longer yet.
BEFORE_RULES, LONGEST_END = ": ", 36
#: `time_wait[].outcome` -> style.
STYLES = {"expired": "green", "reused": "green", "reused-early": "red", "killed": "red", "forgotten": "yellow"}


def owed_columns(captures: int, zero_ns: int) -> list[Column]:
    """Return the columns; times are seconds since `zero_ns`. The name of the capture only if there are several."""

    def when(time_ns: int) -> str:
        return f"{seconds(time_ns - zero_ns)} s"

    name = Column("capture", lambda o: printable(o.capture), rank=4, narrow=narrow_path, cut=cut_path)
    return [
        Column("stream", lambda o: str(o.stream), right=True),
        *([name] if captures > 1 else []),
        Column("owner", lambda o: str(o.owner), narrow=narrow_socket, cut=cut_socket, shortest=SHORTEST_SOCKET),
        Column("peer", lambda o: str(o.peer), rank=2, narrow=narrow_socket, cut=cut_socket),
        Column("entered", lambda o: when(o.wait.entered_ns), right=True, rank=3),
        Column("by frame", lambda o: frame_text(o.wait.entered_frame), right=True, rank=6),
        Column("restarts", lambda o: str(len(o.wait.restarts) or "-"), right=True, rank=5),
        Column("until", lambda o: when(o.wait.earliest_end_ns), right=True, rank=3),
        Column(
            "how it ended",
            lambda o: _ended(o, when),
            rank=1,
            narrow=lambda text: min(cell_width(without_rules(text)), LONGEST_END),
            cut=cut_rules,
            style=lambda o: STYLES.get(o.wait.outcome, ""),
        ),
    ]


def _ended(owed: Owed, when: Callable[[int], str]) -> str:
    wait = owed.wait
    if wait.ended_ns is None or wait.ended_frame is None:
        return wait.outcome
    if wait.reuse is not None and wait.outcome != "expired":
        rules = ", ".join(RULES[rule] for rule in wait.reuse.rules) or "no rule"
        return f"{wait.outcome} at {when(wait.ended_ns)}, stream {wait.reuse.stream}{BEFORE_RULES}{rules}"
    return f"{wait.outcome} at {when(wait.ended_ns)}, frame {frame_text(wait.ended_frame)}"


def without_rules(text: str) -> str:
    """Return how a TIME-WAIT ended, with an ellipsis in place of the rules that allowed it."""
    end, before, _ = text.partition(BEFORE_RULES)
    return f"{end}{before}…" if before else text


def cut_rules(text: str, width: int) -> str:
    """Cut how a TIME-WAIT ended to a width in terminal columns; all rules are left out first."""
    return text if cell_width(text) <= width else cut_end(without_rules(text), width)
