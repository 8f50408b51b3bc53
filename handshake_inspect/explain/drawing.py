"""The state diagram, drawn from the table of states.

In: the table (`tcp.states.TRANSITIONS`). Out: lines of text. Read RFC 9293 §3.3.2 with its Figure 5.
"""

from __future__ import annotations

from rich.text import Text

from handshake_inspect.explain.moves import Table, moves_of, said, styled
from handshake_inspect.tcp.states import TRANSITIONS, State


def diagram_lines(width: int, table: Table = TRANSITIONS) -> list[Text]:
    """Return the diagram for a terminal of `width` columns."""
    moves = moves_of(table)
    return [
        Text(f"{state.value:22} ── {said(move.event)} ──▶ ").append_text(styled(move.after.value))
        for state in State
        for move in moves
        if move.before is state
    ]
