"""Looks for octets that break a target, guided by coverage: needs `atheris`.

    python -m tests.fuzz.explore TARGET CORPUS [SECONDS]

CORPUS is a folder in which interesting inputs are kept from run to run; it is seeded with the frames and captures that
the tests build. What breaks a target is written to the current folder, and belongs into `tests/fuzz/found/`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["handshake_inspect"]):
    from tests.fuzz.targets import KNOWN_LINK_TYPES, TARGETS

from tests.capture.layer_cases import ALL

CAPTURES = Path(__file__).parents[2] / "pcaps"
#: An input that takes longer is a hang, one that needs more is a leak.
SECONDS_AT_MOST, MEGABYTES_AT_MOST = 10, 2048


def seeds(target: str) -> list[bytes]:
    """Return inputs that say something to a target."""
    if target == "decode":
        return [
            bytes([KNOWN_LINK_TYPES.index(case.link_type), min(len(case.octets), 255)]) + case.octets[:255]
            for case in ALL
            if case.link_type in KNOWN_LINK_TYPES
        ]
    folders = [CAPTURES, *(Path(name) for name in [os.environ.get("HANDSHAKE_CAPTURES", "")] if name)]
    files = [path for folder in folders for path in folder.iterdir() if path.is_file()]
    return [path.read_bytes() for path in files if path.stat().st_size < 20_000]


def main() -> None:
    """Seed the corpus and run."""
    target, folder = sys.argv[1], Path(sys.argv[2])
    seconds = sys.argv[3] if len(sys.argv) > 3 else "60"
    folder.mkdir(parents=True, exist_ok=True)
    for number, octets in enumerate(seeds(target)):
        (folder / f"seed-{number}").write_bytes(octets)
    options = [
        f"-max_total_time={seconds}", f"-timeout={SECONDS_AT_MOST}", f"-rss_limit_mb={MEGABYTES_AT_MOST}",
        "-max_len=20000", "-print_final_stats=1",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], str(folder), *options], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
