"""The name of the file with the expectations of a capture.

In: the name of a capture. Out: a path. Imports nothing else, so that listing files can tell these from captures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

#: Endings that are left out of a capture's name: "echo.pcap.gz" has "echo.expect.toml" beside it.
CAPTURE_ENDINGS = (".gz", ".zst", ".xz", ".bz2", ".lzma", ".pcapng", ".pcap", ".cap", ".snoop", ".dmp")
ENDING = ".expect.toml"


def beside(capture: str) -> Path:
    """Return the path of the expectations of a capture: `echo.pcap` has `echo.expect.toml`."""
    path = Path(capture)
    return path.with_name(without_ending(path.name) + ENDING)


def without_ending(name: str) -> str:
    """Return the name of a capture without its endings: "echo.pcap.gz" is "echo"."""
    short = name
    for ending in CAPTURE_ENDINGS:
        short = short.removesuffix(ending)
    return short or name


def beside_all(captures: Sequence[str]) -> Path | None:
    """Return the path of the expectations of one run; None for standard input and for several captures."""
    return beside(captures[0]) if len(captures) == 1 and captures[0] != "-" else None
