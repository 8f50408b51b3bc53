"""What the chat says over UDP: one short text per datagram, a word in capitals first, so that a capture reads itself.

    ANNA  → server   JOIN ANNA                      server → ANNA   WELCOME BEN, CLARA   (or REFUSED why)
                                                    server → others JOINED ANNA
    ANNA  → server   SAY good morning               server → others FROM ANNA good morning
    server → ANNA    PING                           ANNA  → server  PONG
    ANNA  → server   LEAVE                          server → others LEFT ANNA (VANISHED ANNA: without a word)
                                                    server → all    END

In: octets from anybody. Out: a `Message`, or ValueError with what is wrong with them. UDP (RFC 768) promises nothing: a
datagram may be lost, doubled, late, or from a stranger; there is no connection from which to learn that somebody left.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Verb = Literal[
    "JOIN", "SAY", "PONG", "LEAVE", "WELCOME", "REFUSED", "FROM", "JOINED", "LEFT", "VANISHED", "PING", "END"
]
VERBS: tuple[Verb, ...] = get_args(Verb)

#: Longest text, octets: with all headers it fits into any Ethernet frame, so IP never cuts it into fragments.
TEXT_OCTETS_MAX = 1200
NAME = re.compile(r"[\w-]{1,20}")


@dataclass(frozen=True)
class Message:
    """What one datagram says."""

    verb: Verb
    text: str = ""

    def encode(self) -> bytes:
        """Return the payload of the datagram."""
        return f"{self.verb} {self.text}".rstrip(" ").encode()

    @property
    def speaker(self) -> tuple[str, str]:
        """Of FROM: who said it, and what."""
        name, _, said = self.text.partition(" ")
        return name, said


def decode(octets: bytes) -> Message:
    """Understand the payload of a datagram. ValueError: it is none of the chat."""
    if len(octets) > TEXT_OCTETS_MAX + 64:
        raise ValueError(f"{len(octets):,} octets are too many")
    try:
        verb, _, text = octets.decode().partition(" ")
    except UnicodeDecodeError:
        raise ValueError("it is no UTF-8") from None
    for known in VERBS:
        if verb == known:
            return Message(known, text)
    raise ValueError("it begins with no word of the chat")


def why_no_name(name: str) -> str:
    """Say why nobody can be called this; "" if somebody can."""
    return "" if NAME.fullmatch(name) else "a name has 1 to 20 letters, digits, - and _, and no space"
