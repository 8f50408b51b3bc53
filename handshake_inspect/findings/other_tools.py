"""What other tools call what we find: one table, of every name that concerns how TCP opens, closes and misbehaves.

In: `other_tools.tsv`. Out: a `Counterpart` for each name. Read docs.suricata.io (rules/stream-events.rules), Zeek's
base/frameworks/notice/weird.zeek, and Wireshark's epan/dissectors/packet-tcp.c beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

#: How a name of another tool relates to ours.
MARKS = {
    "same": "reported of the same segments",
    "stricter": "reported of fewer: only where the capture bears it out",
    "other": "no finding of ours, and why",
    "unseen": "no capture can show it, and why",
}
#: Their names as people write them.
TOOLS = {
    "suricata": "Suricata's stream events",
    "zeek": "Zeek's weirds",
    "wireshark": "Wireshark's expert information",
    "tcptrace": "tcptrace's warnings",
    "arkime": "Arkime's fields",
}


@dataclass(frozen=True)
class Counterpart:
    """One name of another tool."""

    #: Of TOOLS.
    tool: str
    #: As that tool spells it.
    name: str
    #: Of MARKS.
    mark: str
    #: Our codes, the likeliest first.
    codes: tuple[str, ...]
    #: What is different, or why there is none.
    note: str


@cache
def counterparts() -> tuple[Counterpart, ...]:
    """Return the whole table."""
    text = (resources.files("handshake_inspect.findings") / "other_tools.tsv").read_text(encoding="utf-8")
    return tuple(_read(text))


def _read(text: str) -> Iterator[Counterpart]:
    for line in text.splitlines()[1:]:
        tool, name, mark, codes, note = line.split("\t")
        yield Counterpart(tool, name, mark, tuple(codes.split()), note)
