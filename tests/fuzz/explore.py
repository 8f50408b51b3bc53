"""Looks for octets that break a target, guided by coverage: needs `atheris`, which no test needs.

    python -m tests.fuzz.explore TARGET FOLDER [SECONDS]
    python -m tests.fuzz.explore TARGET FOLDER keep

FOLDER has the inputs that reached new code, from run to run; it is seeded with the frames and captures that the tests
build and with `corpus/TARGET.txt`. What breaks a target is written to the current folder. `keep` writes the shortest
inputs of FOLDER to `corpus/TARGET.txt`, where `test_corpus` runs them; an input that broke a target belongs there too.
"""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["handshake_inspect"]):
    from tests.fuzz.targets import KNOWN_LINK_TYPES, TARGETS

from tests.capture.layer_cases import ALL

CAPTURES = Path(__file__).parents[2] / "pcaps"
CORPUS = Path(__file__).parent / "corpus"
#: An input that takes longer is a hang, one that asks for more at once too much; longer inputs are not tried, more are
#: not kept.
SECONDS_AT_MOST, MEGABYTES_AT_MOST, LONGEST_OCTETS, MOST_KEPT = 10, 256, 20_000, 500


def seeds(target: str) -> list[bytes]:
    """Return inputs that say something to a target."""
    kept = CORPUS / f"{target}.txt"
    found = [base64.b64decode(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    if target == "decode":
        return found + [
            bytes([KNOWN_LINK_TYPES.index(case.link_type), min(len(case.octets), 255)]) + case.octets[:255]
            for case in ALL
            if case.link_type in KNOWN_LINK_TYPES
        ]
    folders = [CAPTURES, *(Path(name) for name in [os.environ.get("HANDSHAKE_CAPTURES", "")] if name)]
    files = [path for folder in folders for path in folder.iterdir() if path.is_file()]
    return found + [path.read_bytes() for path in files if path.stat().st_size < LONGEST_OCTETS]


def keep(target: str, folder: Path) -> None:
    """Write the shortest inputs that are no seeds."""
    found = {path.read_bytes() for path in folder.iterdir() if not path.name.startswith("seed-")}
    shortest = sorted(found, key=lambda octets: (len(octets), octets))[:MOST_KEPT]
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{target}.txt").write_text("".join(f"{base64.b64encode(octets).decode()}\n" for octets in shortest))


def main() -> None:
    """Seed the folder and run."""
    target, folder, *rest = sys.argv[1:]
    last = rest[0] if rest else "60"
    if last == "keep":
        keep(target, Path(folder))
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number, octets in enumerate(seeds(target)):
        (Path(folder) / f"seed-{number}").write_bytes(octets)
    limits = [
        f"-timeout={SECONDS_AT_MOST}",
        f"-malloc_limit_mb={MEGABYTES_AT_MOST}",
        "-rss_limit_mb=0",
        f"-max_len={LONGEST_OCTETS}",
    ]
    atheris.Setup([sys.argv[0], folder, f"-max_total_time={last}", *limits], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
