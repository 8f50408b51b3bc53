"""Makes the pictures of the screen that stand in the README: `python -m tests.screen.pictures FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from handshake_inspect.screen.picture import picture
from tests.screen.feed import Feed, frames_of, show_live
from tests.screen.showing import Shown, files_of, show

SIZE = (112, 34)
#: What goes on in the picture of `sniff`: recorded captures, and how many seconds ago each ended.
LIVE = (
    ("four-way.pcap", 41), ("refused.pcap", 35), ("half-close.pcap", 22), ("unanswered.pcap", 9),
    ("blind-reset.pcap", 7), ("half-closed.pcap", 5), ("simultaneous-close.pcap", 3), ("keep-alive.pcap", 2),
    ("three-segment.pcap", 1),
)  # fmt: skip
FILES = (
    "four-way.pcap", "refused.pcap", "close-wait-held.pcap", "half-close.pcap", "simultaneous-open.pcap",
    "accept-queue-overflow.pcap", "blind-reset.pcap", "half-open-silent.pcap", "simultaneous-close.pcap",
)  # fmt: skip


def draw_browse(target: Path) -> None:
    async def drawn(shown: Shown) -> None:
        await shown.until(lambda: "TIME-WAIT" in shown.text and "quit" in shown.app.foot.plain)
        target.write_text(picture(shown.app, "handshake-inspect browse pcaps/"))

    with files_of(FILES, Path("pcaps")) as source:  # as they are named from the root of the repository
        show(source, drawn, SIZE)


def draw_sniff(target: Path) -> None:
    feed = Feed()
    for name, ago_s in LIVE:
        feed.put(*frames_of(name, ago_s))

    async def drawn(shown: Shown) -> None:
        await shown.until(lambda: shown.text and len(shown.listed) > len(LIVE))
        await shown.pilot.pause(0.5)
        target.write_text(picture(shown.app, "handshake-inspect sniff"))

    show_live(feed, drawn, size=SIZE)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    draw_browse(folder / "browse.svg")
    draw_sniff(folder / "sniff.svg")
