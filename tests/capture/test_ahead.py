"""Octets that a thread fetches ahead: the same ones, the same errors in the same places, and no thread left behind."""

from __future__ import annotations

import gzip
import io
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.capture import ahead
from handshake_inspect.capture.ahead import AheadSource
from handshake_inspect.capture.source import FileSource
from handshake_inspect.inspector import inspect
from tests.capture.builders import pcap


class Breaking(io.BytesIO):
    """A file that cannot be read to its end."""

    def readinto1(self, view: memoryview) -> int:  # type: ignore[override]
        if self.tell() >= len(self.getvalue()):
            raise OSError("the disk is gone")
        return super().readinto1(view)


def threads_left() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "handshake-inspect ahead"]


def all_of(source: AheadSource, sizes: list[int]) -> bytes:
    """Read to the end, so many octets at a time in turn."""
    found, turn = b"", 0
    while True:
        view = bytearray(sizes[turn % len(sizes)])
        count = source.readinto(memoryview(view))
        if not count:
            return found
        found, turn = found + view[:count], turn + 1


SIZES = st.lists(st.integers(1, 80), min_size=1, max_size=5)


@given(st.binary(max_size=300), SIZES, st.integers(0, 40), st.integers(1, 50))
def test_the_octets_are_those_of_the_source(octets: bytes, sizes: list[int], few: int, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ahead, "FEW_OCTETS", few)
        patch.setattr(ahead, "PIECE_OCTETS", piece)
        source = AheadSource(FileSource(io.BytesIO(octets), owned=True))
        assert all_of(source, sizes) == octets
        assert source.octets_read == len(octets)
        source.close()
    assert not threads_left()


def test_an_error_comes_behind_the_octets_before_it_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "FEW_OCTETS", 10)
    monkeypatch.setattr(ahead, "PIECE_OCTETS", 7)
    source = AheadSource(FileSource(Breaking(b"x" * 100), owned=True))
    found = 0
    with pytest.raises(OSError, match="the disk is gone"):
        while True:
            found += source.readinto(memoryview(bytearray(9)))
    assert found == 100
    with pytest.raises(OSError, match="the disk is gone"):
        source.readinto(memoryview(bytearray(9)))
    source.close()
    assert not threads_left()


def test_whoever_stops_asking_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "FEW_OCTETS", 0)
    monkeypatch.setattr(ahead, "PIECE_OCTETS", 5)
    source = AheadSource(FileSource(io.BytesIO(bytes(1000)), owned=True))
    assert source.readinto(memoryview(bytearray(3))) == 3
    assert threads_left()
    source.close()
    assert not threads_left()


@pytest.mark.parametrize("cut", [0, 1000])
def test_a_compressed_capture_is_the_same_with_threads(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "big.pcap.gz"
    frames = [(os.urandom(60), 60, 10**18 + number) for number in range(40_000)]
    octets = gzip.compress(pcap(frames), 1)
    path.write_bytes(octets[: len(octets) - cut])
    one, two = (inspect(path, jobs=jobs) for jobs in (1, 2))
    assert one.captures == two.captures
    assert one.damage == two.damage
    assert one.unread == two.unread
    assert not threads_left()
