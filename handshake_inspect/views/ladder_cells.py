"""What stands in the cells of the ladder: the segment on its arrow, its payload, its arithmetic.

In: a step, and how the reader wants numbers and payload. Out: `rich` text of one line each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from handshake_inspect.connections.connection import Arithmetic, Frame, Step
from handshake_inspect.views.escape import octets_text, printable
from handshake_inspect.views.words import Clock

#: The letters that stand for numbers (`connections.numbers`), and what each is. {o}, {r}: the two ends.
LETTERS = {
    "x": "number of the {o}'s SYN",
    "y": "number of the {r}'s SYN",
    "u": "number of the first FIN",
    "v": "the next number of the other end when it acknowledges that FIN",
    "w": "number of the other end's FIN",
}
Numbers = Literal["symbolic", "relative", "absolute"]
Payload = Mapping[tuple[Frame, int], bytes]


@dataclass(frozen=True)
class LadderOptions:
    """How the ladder is to look."""

    width: int = 100
    numbers: Numbers = "symbolic"
    clock: Clock = "relative"
    #: Octets of payload shown per segment; 0 shows none.
    payload_octets: int = 16
    #: Fold long transfers into one line.
    fold: bool = True


class Cells:
    """Writes the cells of one ladder."""

    def __init__(self, options: LadderOptions, payload: Payload) -> None:
        self.options = options
        self._payload = payload

    def label(self, step: Step) -> Text:
        """Return the segment in words: control bits, seq, ack, len; the window where it is or was closed."""
        seq, ack = self.numbers(step)
        label = Text()
        label.append(step.flags or "no control bits", _flags_style(step.flags))
        label.append(f" seq={seq}")
        if ack is not None:
            label.append(f" ack={ack}")
        if step.payload_octets:
            label.append(f" len={step.payload_octets}")
        label.append_text(closed_window(step))
        if step.retransmission:
            label.append(" again", "yellow")
        return label

    def options_offered(self, step: Step) -> Text:
        """Return what a SYN or SYN-ACK offers: "mss=1460 ws=7 sack ts tfo=request"; empty for other segments."""
        offer = step.options
        if offer is None:
            return Text()
        said = [
            *([f"mss={offer.mss}"] if offer.mss is not None else []),
            *([f"ws={offer.window_scale}"] if offer.window_scale is not None else []),
            *(["sack"] if offer.sack_permitted else []),
            *(["ts"] if offer.timestamps else []),
            *([f"tfo={offer.fast_open}"] if offer.fast_open else []),
        ]
        return Text(" ".join(said), "dim")

    def payload(self, step: Step) -> str:
        """Return the first octets in quotes, as many as the options say; "" if none are known."""
        data = self._payload.get((step.frame, step.seq), b"")
        limit = self.options.payload_octets
        if not data or limit == 0:
            return ""
        return f'"{octets_text(data, limit)}"' + "…" * (len(data) > limit)

    def numbers(self, step: Step) -> tuple[str, str | None]:
        """Return seq and ack as the options spell them."""
        if self.options.numbers == "symbolic":
            return step.symbolic_seq, step.symbolic_ack
        seq, ack = step.seq, step.ack
        if self.options.numbers == "relative":
            seq, ack = step.relative_seq, step.relative_ack
        return str(seq), None if ack is None else str(ack)

    def proof(self, line: Arithmetic) -> Text:
        """Return one line of arithmetic with its verdict."""
        spelled = {"symbolic": line.symbolic, "relative": str(line.relative), "absolute": str(line.expected)}
        mark, style = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("?", "yellow")}[line.holds]
        text = Text(f"{line.name}={spelled[self.options.numbers]} ")
        text.append(mark, style)
        if line.reason:
            text.append(f" {printable(line.reason)}", "red" if line.holds is False else "dim")
        return text


def closed_window(step: Step) -> Text:
    """Return " win=0", or what opens again; empty if the window neither is nor was closed."""
    if not step.at_closed_window:
        return Text()
    if step.window_octets is None:
        return Text(f" win={step.window}", "yellow").append(" unscaled", "dim")
    return Text(f" win={step.window_octets}", "yellow")


def _flags_style(flags: str) -> str:
    bits = flags.split(",")
    if "RST" in bits:
        return "bold red"
    if "SYN" in bits:
        return "bold cyan"
    return "bold magenta" if "FIN" in bits else "bold"
