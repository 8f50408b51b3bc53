"""The page beside recorded captures: one line of provenance for each, and what must be found in it.

In: a folder. Out: its `README.md`, three tables that are written by machine and read again: recording one scenario
anew leaves the lines of the others as they are. A `README.md` that is another's stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from handshake_inspect.capture.writing.output import write_text
from handshake_inspect.lab.expected import Outcome, listed, spelled
from handshake_inspect.lab.world import LabError

Line = dict[str, str]

CAPTURES = ("file", "recorded by", "kernel", "captured at", "shows")
CONNECTIONS = ("file", "stream", "handshake", "teardown", "closed first", "originator", "responder", "also")
EXCHANGES = ("file", "must be found")

PAGE = """# Recorded captures

Each was recorded from real sockets by the command in its line, in network namespaces of its own, so the only frames are
those of the scenario{again}. Times are the kernel's, in
nanoseconds; each segment of loopback is there once. Where two hosts are joined by a wire, NAME.pcap was captured at the
client's end of it and NAME.server.pcap at the server's, in the same run. The expected verdicts follow from what the
programs do and from RFC 9293: they are written in `handshake_inspect/lab/scenarios/`, not taken from {whose}
engine. `-` is null: there was none, or the capture cannot tell. {checked}

## Captures

{captures}

## TCP connections

{connections}

## UDP

{exchanges}
"""


#: What is true of the captures of this project alone, and what is of any others.
OURS = {
    "again": "; `handshake-inspect lab record --all -o pcaps` records them all anew",
    "whose": "this project's",
    "checked": "A test checks every line, and that no capture here is\nwithout one.",
}
OTHERS = {
    "again": "",
    "whose": "handshake-inspect's own",
    "checked": "NAME.expect.toml has what\n`handshake-inspect check` is to find in NAME.pcap.",
}


def is_ours(folder: Path) -> bool:
    """Is it the folder of this project's own captures?"""
    return folder.name == "pcaps" and (folder.absolute().parent / "handshake_inspect/lab/scenarios").is_dir()


@dataclass
class Page:
    """The three tables of a page, each line as cell by heading."""

    captures: list[Line] = field(default_factory=list)
    connections: list[Line] = field(default_factory=list)
    exchanges: list[Line] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Page:
        """Read the page of a folder; an empty one if it has none. Raises LabError if its README is another's."""
        page = cls()
        tables = {CAPTURES: page.captures, CONNECTIONS: page.connections, EXCHANGES: page.exchanges}
        heading: tuple[str, ...] = ()
        for line in lines_of(folder / "README.md"):
            cells = tuple(cell.strip() for cell in line.strip("|").split(" | "))
            if cells in tables:
                heading = cells
            elif line.startswith("| ") and heading:
                tables[heading].append(dict(zip(heading, cells, strict=True)))
        return page

    def put(self, capture: Line, outcome: Outcome, exchange: str | None) -> None:
        """Replace the lines of one recorded file."""
        file = capture["file"]
        for lines in (self.captures, self.connections, self.exchanges):
            lines[:] = [line for line in lines if line["file"] != file]
        self.captures.append(capture)
        self.connections.extend(connection_line(file, stream, outcome) for stream in range(len(outcome)))
        if exchange is not None:
            self.exchanges.append({"file": file, "must be found": exchange})

    def write(self, folder: Path, order: Sequence[str]) -> None:
        """Write the page, with the files that are still there, in the order of the names of their scenarios."""

        def place(line: Line) -> tuple[int, str, int]:
            name = line["file"].split(".")[0]
            return (order.index(name) if name in order else len(order), line["file"], int(line.get("stream", 0)))

        def ordered(lines: list[Line]) -> list[Line]:
            return sorted((line for line in lines if (folder / line["file"]).exists()), key=place)

        text = PAGE.format(
            **(OURS if is_ours(folder) else OTHERS),
            captures=table(CAPTURES, ordered(self.captures)),
            connections=table(CONNECTIONS, ordered(self.connections)),
            exchanges=table(EXCHANGES, ordered(self.exchanges)),
        )
        write_text(folder / "README.md", text)


def lines_of(path: Path) -> list[str]:
    """Return the lines of a page that was written here; [] if there is none. Raises LabError if it is no such page."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LabError(f"{path}: cannot be read: {error.strerror or error}") from None
    if lines[:1] != PAGE.splitlines()[:1]:
        raise LabError(f"{path} is no page of recorded captures, and would be written over: take another folder")
    return lines


def connection_line(file: str, stream: int, outcome: Outcome) -> Line:
    """Return the line of one connection of a capture."""
    verdict = outcome[stream]
    more = ", ".join(f"{path} {spelled(value)}" for path, value in verdict.also.items())
    cells = (
        verdict.handshake,
        verdict.teardown,
        verdict.closed_first or "-",
        spelled(listed(verdict.originator)),
        spelled(listed(verdict.responder)),
        more or "-",
    )
    return dict(zip(CONNECTIONS, (file, str(stream), *cells), strict=True))


def table(heading: Sequence[str], lines: Iterable[Line]) -> str:
    """Put a Markdown table together."""
    rows = [heading, *([line[cell] for cell in heading] for line in lines)]
    written = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([written[0], "|" + "---|" * len(heading), *written[1:]])
