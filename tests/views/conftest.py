"""What several tests of views read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect

PCAPS = Path(__file__).parents[2] / "pcaps"


@pytest.fixture(scope="package")
def runs(captures_dir: Path) -> list[Inspection]:
    """Return every public capture inspected alone, and all recorded ones as one run."""
    return [*_alone(captures_dir), inspect(sorted(PCAPS.glob("*.pcap*")))]


def _alone(folder: Path) -> Iterator[Inspection]:
    for path in sorted(folder.glob("*.pcap*")):
        try:
            yield inspect(path)
        except CaptureError:  # made to be refused
            continue
