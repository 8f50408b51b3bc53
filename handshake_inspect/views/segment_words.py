"""What is written at a segment, in plain words: its numbers, its window, what it offers, its payload, its arithmetic.

In: a step, and which spelling of numbers is wanted. Out: short strings, which the views dress: the text ladder for a
terminal, the pictures as markup.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from handshake_inspect.connections.connection import Arithmetic, SackBlock, Step, SynOptions
from handshake_inspect.tcp.seqnum import MODULUS
from handshake_inspect.views.escape import octets_text

Numbers = Literal["symbolic", "relative", "absolute"]
#: The verdict of a line of arithmetic as a sign; None: the capture cannot tell.
VERDICT_SIGNS = {True: "✓", False: "✗", None: "?"}


def flags_words(step: Step) -> str:
    """Return the control bits."""
    return step.flags or "no control bits"


def spelled_numbers(step: Step, numbers: Numbers) -> tuple[str, str | None]:
    """Return seq and ack; None without the ACK bit."""
    if numbers == "symbolic":
        return step.symbolic_seq, step.symbolic_ack
    seq, ack = (step.relative_seq, step.relative_ack) if numbers == "relative" else (step.seq, step.ack)
    return str(seq), None if ack is None else str(ack)


def numbers_words(step: Step, numbers: Numbers) -> str:
    """Return "seq=x ack=y+1 len=4"."""
    seq, ack = spelled_numbers(step, numbers)
    acknowledges = "" if ack is None else f" ack={ack}"
    return f"seq={seq}{acknowledges} len={step.payload_octets}" if step.payload_octets else f"seq={seq}{acknowledges}"


def window_words(step: Step) -> tuple[str, str]:
    """Return "win=0", or what opens again, and what to know of it; "" if the window neither is nor was closed."""
    if not step.at_closed_window:
        return "", ""
    if step.window_octets is None:
        return f"win={step.window}", "unscaled"
    return f"win={step.window_octets}", ""


def option_words(step: Step, numbers: Numbers) -> str:
    """Return what its options say: the offer of a SYN, the blocks of SACK; "" if that is nothing."""
    return offer_words(step.options) or sack_words(step, numbers)


def sack_words(step: Step, numbers: Numbers) -> str:
    """Return "sack=y+1+(1000-2000, 3000-4000)", in front of it "dsack=..." for octets that came twice.

    "" without SACK.
    """
    if step.sack is None:
        return "sack not captured"
    of_kinds = {
        "dsack": [one for one in step.sack if one.is_duplicate],
        "sack": [one for one in step.sack if not one.is_duplicate],
    }
    return " ".join(f"{kind}={_spans(blocks, step, numbers)}" for kind, blocks in of_kinds.items() if blocks)


def _spans(blocks: list[SackBlock], step: Step, numbers: Numbers) -> str:
    """Return edges of blocks, spelled as the other numbers of the segment."""
    edges = [(one.left_edge, one.right_edge) for one in blocks]
    if numbers == "symbolic":
        first = min(1, *(left for left, _ in edges))
        letter = "y" if step.sender == "originator" else "x"
        spans = ", ".join(f"{left - first}-{right - first}" for left, right in edges)
        return f"{letter}{'+1' * first}+({spans})"
    if numbers == "absolute" and step.ack is not None and step.relative_ack is not None:
        to_absolute = step.ack - step.relative_ack
        edges = [((left + to_absolute) % MODULUS, (right + to_absolute) % MODULUS) for left, right in edges]
    return ",".join(f"{left}-{right}" for left, right in edges)


@lru_cache(maxsize=1 << 12)
def offer_words(offer: SynOptions | None) -> str:
    """Return what a SYN or SYN-ACK offers: "mss=1460 ws=7 sack ts tfo=request"; "" of other segments.

    Of a list that the snapshot length cut: "mss=1460 (rest not captured)".
    """
    if offer is None:
        return ""
    said = [
        *([f"mss={offer.mss}"] if offer.mss is not None else []),
        *([f"ws={offer.window_scale}"] if offer.window_scale is not None else []),
        *(["sack"] if offer.sack_permitted else []),
        *(["ts"] if offer.timestamps else []),
        *([f"tfo={offer.fast_open}"] if offer.fast_open else []),
        *([offer.signature] if offer.signature else []),
    ]
    if offer.is_cut:
        said.append("(rest not captured)" if said else "options not captured")
    return " ".join(said)


def payload_words(octets: bytes, limit: int, count: int) -> str:
    """Return the first octets in quotes, `limit` of them; "" if there are none.

    `count`: so many there are, of which the snapshot length may have left less.
    """
    if not octets or limit == 0:
        return ""
    return f'"{octets_text(octets, limit)}"' + "…" * (max(count, len(octets)) > min(len(octets), limit))


def sum_words(line: Arithmetic, numbers: Numbers) -> str:
    """Return what a number must be: "ack=x+1"."""
    return f"{line.name}={sum_number(line, numbers)}"


def sum_number(line: Arithmetic, numbers: Numbers) -> str | int:
    """Return the number that a line of arithmetic asks for."""
    if numbers == "symbolic":
        return line.symbolic
    return line.relative if numbers == "relative" else line.expected
