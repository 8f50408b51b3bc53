"""A verdict in few words, a line for each part, for comparisons.

In: a `Verdict` and what to call the ends. Out: pairs of a heading and its text, in the order of a connection's life.
"""

from __future__ import annotations

from handshake_inspect.compared.normal import Verdict
from handshake_inspect.connections.connection import Pair
from handshake_inspect.quantities import listed


def verdict_lines(verdict: Verdict, names: Pair[str]) -> list[tuple[str, str]]:
    """Return how a connection opened and closed, who owes TIME-WAIT, and the codes of its findings."""
    return [
        ("opening", opening(verdict)),
        ("closing", closing(verdict, names)),
        ("TIME-WAIT", listed([f"the {names[end]}" for end in verdict.time_wait]) or "nobody"),
        ("findings", listed(verdict.findings) or "none"),
    ]


def opening(verdict: Verdict) -> str:
    """Say how it opened: "three-way", "partial, not captured: syn"."""
    fast_open = f", Fast Open {verdict.fast_open}" if verdict.fast_open else ""
    return verdict.handshake + fast_open + _missing(verdict.handshake_missing)


def closing(verdict: Verdict, names: Pair[str]) -> str:
    """Say how it closed: "four-way, first the client", "aborted by the server"."""
    first = {None: "", "both": ", the FINs crossed"}.get(verdict.closed_first)
    if first is None:
        first = f", the {_name(verdict.closed_first, names)} first"
    reset = f", reset by {_ends(verdict.reset_by, names)}" if verdict.reset_by else ""
    return verdict.teardown + first + reset + _missing(verdict.teardown_missing)


def _missing(parts: tuple[str, ...]) -> str:
    return f", not captured: {listed(parts)}" if parts else ""


def _ends(which: str, names: Pair[str]) -> str:
    return "both ends" if which == "both" else f"the {_name(which, names)}"


def _name(end: str | None, names: Pair[str]) -> str:
    return names.originator if end == "originator" else names.responder
