"""Pages of other tools: the counterpart here of each of their names, and why some have no finding.

In: the table `findings.other_tools`. Out: a `Page` for each tool.
"""

from __future__ import annotations

from collections.abc import Iterator

from handshake_inspect.explain.page import Block, Heading, Item, Page, Paragraph
from handshake_inspect.findings.other_tools import MARKS, TOOLS, Counterpart, counterparts

#: Mark -> heading of the names with this mark.
HEADINGS = {
    "same": "The same",
    "stricter": "Stricter: of fewer segments, only where the capture bears it out",
    "other": "No such finding, and why",
    "unseen": "Cannot be seen in a capture",
}
assert HEADINGS.keys() == MARKS.keys()


def tool_pages() -> Iterator[Page]:
    """Yield the page of each tool."""
    for tool, what in TOOLS.items():
        mine = [one for one in counterparts() if one.tool == tool]
        blocks: list[Block] = [Paragraph(f"{what}, and our findings of the same segments.")]
        for mark, heading in HEADINGS.items():
            items = [Item("-", _line(one)) for one in mine if one.mark == mark]
            blocks += [Heading(heading), *items] if items else []
        yield Page(tool, f"{tool}: {what}, and ours", "tool", tuple(blocks), ALSO.get(tool, ()), (SOURCES[tool],))


SOURCES = {
    "suricata": "Suricata rules/stream-events.rules",
    "zeek": "Zeek scripts/base/frameworks/notice/weird.zeek",
    "wireshark": "Wireshark epan/dissectors/packet-tcp.c",
    "tcptrace": "tcptrace manual, Long output",
    "arkime": "Arkime capture/parsers/tcp.c",
}

#: Tool -> other names by which it can be found.
ALSO = {"wireshark": ("tshark",)}


def _line(one: Counterpart) -> str:
    codes = ", ".join(f"`{code}`" for code in one.codes)
    if one.mark in ("other", "unseen"):
        return f"{one.name}: {one.note}" + (f" See {codes}." if codes else "")
    return f"{one.name}: {codes}" + (f". {one.note}" if one.note else "")
