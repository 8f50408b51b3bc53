"""The captures in which findings are looked for: ours, and the public ones (HANDSHAKE_CAPTURES names their folder)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from handshake_inspect import inspect
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.inspection import Inspection
from tests.findings.made import MADE

OURS = Path(__file__).parents[2] / "pcaps"
PUBLIC = Path(os.environ["HANDSHAKE_CAPTURES"]) if "HANDSHAKE_CAPTURES" in os.environ else None


def path_of(name: str) -> Path:
    """Return where a capture lies; the test is skipped if it is a public one and those are not here."""
    if (OURS / name).exists():
        return OURS / name
    if PUBLIC is None:
        pytest.skip(f"{name} is a public capture: set HANDSHAKE_CAPTURES")
    return PUBLIC / name


@lru_cache(maxsize=512)
def inspected(name: str) -> Inspection:
    """Inspect a capture, once; several together if their names are joined by a plus sign; or what tests made."""
    return MADE[name]() if name in MADE else inspect([path_of(one) for one in name.split("+")])


def codes_in(name: str) -> Counter[str]:
    """Count the findings of a capture by code."""
    inspection = inspected(name)
    of_connections = Counter(one.code for connection in inspection.connections for one in connection.findings)
    return of_connections + Counter(one.code for one in inspection.findings)


def messages_in(name: str, code: str) -> list[str]:
    """Return what the findings of one code say."""
    inspection = inspected(name)
    said = [one.message for connection in inspection.connections for one in connection.findings if one.code == code]
    return said + [one.message for one in inspection.findings if one.code == code]


def all_names() -> Iterator[str]:
    """Yield the names of all captures that can be read, ours first."""
    for folder in filter(None, (OURS, PUBLIC)):
        for path in sorted(folder.iterdir()):
            if ".pcap" in path.name or path.suffix == ".snoop":
                try:
                    inspected(path.name)
                except CaptureError:
                    continue
                yield path.name
