"""The cells of the text ladder: the segment on its arrow, its payload, its arithmetic.

In: a step, and how the reader wants numbers and payload. Out: `rich` text of one line each.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from handshake_inspect.connections.connection import Arithmetic, Step
from handshake_inspect.views.escape import printable
from handshake_inspect.views.rungs import Payload, Spelling
from handshake_inspect.views.segment_words import (
    VERDICT_SIGNS,
    flags_words,
    numbers_words,
    option_words,
    payload_words,
    sum_words,
    window_words,
)


@dataclass(frozen=True)
class LadderOptions(Spelling):
    """How the text ladder looks."""

    width: int = 100


class Cells:
    """Writes the cells of one ladder."""

    def __init__(self, options: Spelling, payload: Payload) -> None:
        self.options = options
        self._payload = payload

    def label(self, step: Step) -> Text:
        """Return the segment in words: control bits, seq, ack, len; the window where it is or was closed."""
        label = Text()
        label.append(flags_words(step), _flags_style(step.flags))
        label.append(f" {numbers_words(step, self.options.numbers)}")
        label.append_text(closed_window(step))
        if step.retransmission:
            label.append(" again", "yellow")
        return label

    def options_said(self, step: Step) -> Text:
        """Return what options say: "mss=1460 ws=7 sack ts tfo=request" of a SYN, "sack=y+1+(1000-2000)" of an ACK."""
        return Text(option_words(step, self.options.numbers), "dim")

    def payload(self, step: Step) -> str:
        """Return the first octets in quotes, as many as the options say; "" if none are known."""
        octets = self._payload.get((step.frame, step.seq), b"")
        return payload_words(octets, self.options.payload_octets, step.payload_octets)

    def proof(self, line: Arithmetic) -> Text:
        """Return one line of arithmetic with its verdict."""
        style = {True: "green", False: "bold red", None: "yellow"}[line.holds]
        text = Text(f"{sum_words(line, self.options.numbers)} ").append(VERDICT_SIGNS[line.holds], style)
        if line.reason:
            text.append(f" {printable(line.reason)}", "red" if line.holds is False else "dim")
        return text


def closed_window(step: Step) -> Text:
    """Return " win=0", or what opens again; empty if the window neither is nor was closed."""
    window, remark = window_words(step)
    text = Text(f" {window}", "yellow") if window else Text()
    return text.append(f" {remark}", "dim") if remark else text


def _flags_style(flags: str) -> str:
    bits = flags.split(",")
    if "RST" in bits:
        return "bold red"
    if "SYN" in bits:
        return "bold cyan"
    return "bold yellow" if "FIN" in bits else "bold"
