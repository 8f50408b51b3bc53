"""Rules of a wire: which frames it loses, holds, delays, doubles, lets overtake each other, or changes.

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
    drop every segment over 1280 octets from client       (a link with that MTU, of which no ICMP error tells)

A wire that plays a middlebox changes what passes, before any of the rules above sees it:

    set TTL to 63 on first SYN-ACK from server
    clamp MSS to 1200 on every SYN from client
    strip timestamps on every segment from client
    shift seq by 1000000 on every segment from client       (an ISN that is rewritten: both rules together)
    shift ack by -1000000 on every segment from server
    set source to 198.18.0.254 on every segment from client       (a NAT: likewise)
    set destination to 198.18.0.1 on every segment from server

`first N`, `second`, `third` and `every` count the segments of that kind and end since the rule is there. The kinds are
SYN, SYN-ACK, ACK (nothing but an acknowledgment), data, FIN, RST (`segments.KINDS`), or `segment`: any of them. So the
third segment of a handshake is `first ACK from client`, or `second segment from client`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal, cast, get_args

from handshake_inspect.lab.altering import Change, What
from handshake_inspect.lab.calls import End
from handshake_inspect.lab.segments import KINDS, Segment
from handshake_inspect.lab.world import LabError
from handshake_inspect.quantities import listed

Action = Literal["drop", "hold", "delay", "duplicate", "swap", "pass", "keep", "change"]

#: The first words of rules: those that say their action, and those that say a change, with what each may be about and
#: the word before its number.
ACTIONS: tuple[Action, ...] = get_args(Action)[:-1]
CHANGES: Mapping[str, tuple[tuple[What, ...], str | None]] = {
    "set": (("TTL", "source", "destination"), "to"),
    "clamp": (("MSS",), "to"),
    "strip": (("timestamps",), None),
    "shift": (("seq", "ack"), "by"),
}
ORDINALS = {"first": 1, "second": 2, "third": 3}
ENDS: tuple[End, ...] = get_args(End)
COUNT, DELAY_MS, NUMBER = re.compile(r"[1-9]\d{0,3}"), re.compile(r"\d{1,5}"), re.compile(r"-?\d{1,10}")
SIZE = re.compile(r"[1-9]\d{0,4}")
#: The same in words.
DELAY_MS_IN_WORDS, NUMBER_IN_WORDS = "a number from 0 to 99999", "a number of at most 10 digits"
SIZE_IN_WORDS = "a number from 1 to 99999"
EXAMPLE = "'drop first SYN from client'"
EVERY = 1 << 30


@dataclass(frozen=True)
class Rule:
    """What a wire does, and with which segments."""

    action: Action
    #: The first segment that it is about, counted from 1, and how many.
    first: int
    count: int
    #: One of `KINDS`, or "segment".
    kind: str
    sender: End
    delay_s: float = 0.0
    #: What it changes, if that is its action.
    change: Change | None = None
    #: Only segments whose IP packet has more octets than that; 0: of any size.
    over_octets: int = 0

    def is_about(self, segment: Segment, sender: End) -> bool:
        """Has the segment the kind, the end and the size that this rule counts?"""
        is_of_kind = sender == self.sender and self.kind in ("segment", segment.kind)
        return is_of_kind and (self.over_octets == 0 or segment.packet_octets > self.over_octets)

    def takes(self, number: int) -> bool:
        """Does the rule take the segment of this number among those that it counts?"""
        return self.first <= number < self.first + self.count


def parse_rule(text: str, unsaid: Sequence[str] = ()) -> Rule:
    """Read a rule. LabError, one line, which says what is wrong with which word, if it is none.

    `unsaid`: actions that are not proposed, as they are refused later.
    """
    words = Words(text.split())
    verb = words.take(*ACTIONS, *CHANGES, unsaid=unsaid)
    change = parse_change(verb, words) if verb in CHANGES else None
    action: Action = "change" if change else cast(Action, verb)
    ordinal = words.take(*ORDINALS, "every")
    count = EVERY if ordinal == "every" else words.take_number(COUNT) or 1
    kind = words.take(*KINDS, "segment")
    over_octets = parse_size(words) if words.left[:1] == ["over"] else 0
    words.take("from")
    sender = cast(End, words.take(*ENDS))
    delay_ms = None
    if words.left:
        words.take("by", "after")
        delay_ms = words.take_number(DELAY_MS)
        if delay_ms is None:
            raise words.unexpected(DELAY_MS_IN_WORDS)
        words.take("ms")
    if words.left:
        raise words.wrong(f"{' '.join(words.left)!r} is too much")
    if (action == "delay") != (delay_ms is not None) and action != "duplicate":
        raise words.wrong("only delay (needs it) and duplicate (may have it) take 'by N ms'")
    return Rule(action, ORDINALS.get(ordinal, 1), count, kind, sender, (delay_ms or 0) / 1000, change, over_octets)


def parse_size(words: Words) -> int:
    """Read `over N octets`."""
    words.take("over")
    octets = words.take_number(SIZE)
    if octets is None:
        raise words.unexpected(SIZE_IN_WORDS)
    words.take("octets")
    return octets


def parse_change(verb: str, words: Words) -> Change:
    """Read what follows the first word of a rule that changes segments, up to and with the word `on`."""
    abouts, before = CHANGES[verb]
    what, number, address = cast(What, words.take(*abouts)), None, ""
    if before is not None:
        words.take(before)
    if what in ("source", "destination"):
        address = words.take_address()
    elif before is not None:
        number = words.take_number(NUMBER)
        if number is None:
            raise words.unexpected(NUMBER_IN_WORDS)
    words.take("on")
    return Change(what, number or 0, address)


def is_address(word: str) -> bool:
    """Is the word an IPv4 address?"""
    try:
        IPv4Address(word)
    except ValueError:
        return False
    return True


class Words:
    """The words of a rule, taken one by one."""

    def __init__(self, words: list[str]) -> None:
        self.text, self.left = " ".join(words), words

    def take(self, *known: str, unsaid: Sequence[str] = ()) -> str:
        """Take the next word, which must be one of these. Raises LabError, which proposes all but those `unsaid`."""
        if not self.left or self.left[0] not in known:
            raise self.unexpected(listed([one for one in known if one not in unsaid], "or"))
        return self.left.pop(0)

    def take_number(self, form: re.Pattern[str]) -> int | None:
        """Take the next word if it is a number of this form."""
        return int(self.left.pop(0)) if self.left and form.fullmatch(self.left[0]) else None

    def take_address(self) -> str:
        """Take the next word, which must be an IPv4 address. Raises LabError."""
        if not self.left or not is_address(self.left[0]):
            raise self.unexpected("an IPv4 address")
        return self.left.pop(0)

    def unexpected(self, wanted: str) -> LabError:
        """Return the error for the next word, or that there is none."""
        return self.wrong(
            f"{self.left[0]!r} stands where {wanted} is expected" if self.left else f"{wanted} is missing"
        )

    def wrong(self, why: str) -> LabError:
        """Return the error that names the whole rule, and one that is right."""
        return LabError(f"{self.text!r} is no rule of a wire, such as {EXAMPLE}: {why}")
