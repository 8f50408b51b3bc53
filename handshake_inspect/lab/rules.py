"""Rules of a wire: which frames it loses, holds, delays, doubles, or lets overtake each other.

In: one line of text. Out: a `Rule`, and which of the frames that pass are its:

    drop first SYN from client
    drop first 2 FIN from server
    delay second data from client by 300 ms
    duplicate first SYN from client after 200 ms
    hold first FIN from server            (until the script lets it go)
    swap first data from client           (it goes after the next segment of the same end)
    pass first RST from server            (nothing happens to it; the script waits for it)
    keep first FIN from server            (it passes, and a copy is kept until the script lets it go)
    drop every segment from client

`first N`, `second`, `third` and `every` count the segments of that kind and end since the rule is there. The kinds are
SYN, SYN-ACK, ACK (nothing but an acknowledgment), data, FIN, RST (`segments.KINDS`), or `segment`: any of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from handshake_inspect.lab.calls import End
from handshake_inspect.lab.segments import KINDS, Segment
from handshake_inspect.lab.world import LabError

Action = Literal["drop", "hold", "delay", "duplicate", "swap", "pass", "keep"]

ORDINALS = {"first": 1, "second": 2, "third": 3}
GRAMMAR = re.compile(
    r"(?P<action>drop|hold|delay|duplicate|swap|pass|keep) "
    r"(?:(?P<ordinal>first|second|third)(?: (?P<count>[1-9]\d{0,3}))?|(?P<every>every)) "
    rf"(?P<kind>{'|'.join(sorted(KINDS, key=len, reverse=True))}|segment) "
    r"from (?P<end>client|server)"
    r"(?: (?:by|after) (?P<delay>\d{1,5}) ms)?"
)
EXAMPLE = "'drop first SYN from client', 'delay second data from server by 300 ms'"
EVERY = 1 << 30


@dataclass(frozen=True)
class Rule:
    """What a wire does with which segments."""

    action: Action
    #: The first segment that it is about, counted from 1, and how many.
    first: int
    count: int
    #: One of `KINDS`, or "segment".
    kind: str
    sender: End
    delay_s: float = 0.0

    def is_about(self, segment: Segment, sender: End) -> bool:
        """Tell whether a segment has the kind and the end that this rule counts."""
        return sender == self.sender and self.kind in ("segment", segment.kind)

    def takes(self, number: int) -> bool:
        """Tell whether it takes the segment of this number among those that it counts."""
        return self.first <= number < self.first + self.count


def parse_rule(text: str) -> Rule:
    """Read a rule. LabError, one line, with examples, if it is none."""
    found = GRAMMAR.fullmatch(" ".join(text.split()))
    if found is None:
        raise LabError(f"{text!r} is no rule of a wire; rules are like {EXAMPLE}")
    action, delay = cast(Action, found["action"]), found["delay"]
    if (action == "delay") != (delay is not None) and action != "duplicate":
        raise LabError(f"{text!r}: only delay (needs it) and duplicate (may have it) take 'by N ms'")
    first, count = (1, EVERY) if found["every"] else (ORDINALS[found["ordinal"]], int(found["count"] or 1))
    return Rule(action, first, count, found["kind"], cast(End, found["end"]), int(delay or 0) / 1000)
