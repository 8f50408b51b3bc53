"""Arrays that are put away come back, from whichever thread; what is no archive of ours is damage, never harm."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from handshake_inspect.archive import Archive, ArchiveError


@pytest.fixture
def archive() -> Iterator[Archive]:
    with Archive() as opened:
        yield opened


def test_threads_write_at_the_same_time(archive: Archive) -> None:
    """Where records stand is noted by the thread that reads, where segments belong by the one that gathers."""

    def put_away(number: int) -> None:
        archive.write(f"array/{number}", np.arange(number, 300_000))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put_away, range(12)))
    assert all((archive.read(f"array/{number}") == np.arange(number, 300_000)).all() for number in range(12))


@pytest.mark.parametrize("values", [[], [0], [255], [-1, 255], [2**31], [2**63 - 1], [-(2**63)]])
def test_numbers_come_back(archive: Archive, values: list[int]) -> None:
    archive.write("numbers", np.array(values, np.int64))
    assert archive.read("numbers").tolist() == values


def test_more_numbers_than_there_can_be_are_damage() -> None:
    file = io.BytesIO()
    with Archive(file) as written:
        written.write("zeros", np.zeros(100_000, np.int64))
        small = len(file.getvalue())
        written.most_numbers = 99_999
        with pytest.raises(ArchiveError, match="too many"):
            written.read("zeros")
        written.most_numbers = 100_000
        assert len(written.read("zeros")) == 100_000
    assert small < 1000, "so few octets hold so many"
