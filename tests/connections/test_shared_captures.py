"""Several captures that share a part of what they show are told alike folded and not, whatever they share of it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from handshake_inspect.capture.inputs import Input
from handshake_inspect.connections.connection import Connection
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.inspector import Inspector
from tests.capture.builders import pcap
from tests.connections.test_steady import scanned, transfer
from tests.engine.scenario import BEGIN_NS, MILLISECOND_NS, Ends, Segment
from tests.test_equal_results import frame_of

#: How many runs are invented.
RUNS = int(os.environ.get("HANDSHAKE_FUZZ", "400")) // 10
#: Runs that were told otherwise once: what another capture has are pieces with much between them.
TOLD_OTHERWISE = (64, 241, 345, 425, 473)


def what_happened(rng: random.Random) -> list[tuple[Segment, Ends]]:
    """Invent some conversations at the same time, in order of time."""
    found = []
    said_by = transfer if rng.random() < 0.7 else scanned
    for port in range(rng.choice([1, 2, 5])):
        said = said_by(rng, 0, captured=True, close=[0, 1]) if rng.random() < 0.2 else []
        said += said_by(rng, rng.choice([0, 0.005, 0.02, 0.1]), captured=bool(said) or rng.random() < 0.9)
        time_ns, ends = BEGIN_NS, Ends()
        for one in said:
            time_ns += rng.choice([0, 1000, MILLISECOND_NS, 50 * MILLISECOND_NS, 400 * MILLISECOND_NS])
            found.append((replace(one, time_ns=time_ns), replace(ends, a=(*ends.a[:2], 40_000 + port))))
    return sorted(found, key=lambda one: one[0].time_ns)


def nearly_all(rng: random.Random, count: int) -> list[int]:
    return [at for at in range(count) if rng.random() < 0.9]


def pieces(rng: random.Random, count: int) -> list[int]:
    begins = [rng.randrange(count) for _ in range(rng.choice([1, 2, 3]))]
    return sorted({at for begin in begins for at in range(begin, min(count, begin + rng.choice([1, 1, 2, 5])))})


def from_then_on(rng: random.Random, count: int) -> list[int]:
    return list(range(rng.randrange(count), count))


SHARED: tuple[Callable[[random.Random, int], list[int]], ...] = (nearly_all, pieces, pieces, from_then_on)


def captures(rng: random.Random, folder: Path) -> list[Path]:
    """Write two or three captures: one that ends early or not at all, and what others have of the same."""
    happened = what_happened(rng)
    shared, files = rng.choice(SHARED), []
    for number in range(rng.choice([2, 2, 3])):
        late_ns = rng.choice([0, 1000, 5 * MILLISECOND_NS]) if number else 0
        which = (
            shared(rng, len(happened)) if number else range(rng.choice([len(happened), rng.randint(1, len(happened))]))
        )
        some = [(at, replace(happened[at][0], time_ns=happened[at][0].time_ns + late_ns)) for at in which]
        files.append(folder / f"{number}")
        files[-1].write_bytes(pcap([frame_of(at, segment, happened[at][1]) for at, segment in some]))
    return files


def connections_of(files: list[Path], gathering: GatheredRows | None, block_octets: int) -> list[Connection]:
    inspector = Inspector(fold=gathering is not None)
    if gathering is not None:
        inspector.analysis.gathering = gathering
    inspector.read([Input(file, block_octets=block_octets) for file in files])
    return list(inspector.result().connections)


@pytest.mark.parametrize("seed", [*range(RUNS), *TOLD_OTHERWISE])
def test_what_several_captures_share_is_told_alike_folded_and_not(seed: int, tmp_path: Path) -> None:
    rng = random.Random(f"shared {seed}")
    files = captures(rng, tmp_path)
    fold_rows, long_rows = rng.choice([(1, 4), (8, 4), (64, 4), (64, 16), (256, 64)])
    folded = connections_of(
        files, GatheredRows(fold_rows=fold_rows, long_rows=long_rows), rng.choice([333, 1000, 4096])
    )
    assert folded == connections_of(files, None, 1 << 20)


@pytest.mark.parametrize("files", [2, 3, 5])
@pytest.mark.parametrize("overlap", [20, 200])
def test_files_that_overlap_at_their_ends_are_one_capture(files: int, overlap: int, tmp_path: Path) -> None:
    """A file in the middle shares its beginning with one, its end with another, and what lies between with none."""
    happened = [(at, *one) for at, one in enumerate(what_happened(random.Random("overlap 1"))) if one[1].a[2] == 40_000]
    count, names = len(happened), []
    for number in range(files):
        part = happened[max(0, number * count // files - overlap * bool(number)) : (number + 1) * count // files]
        names.append(tmp_path / f"{number}")
        names[-1].write_bytes(pcap([frame_of(at, segment, ends) for at, segment, ends in part]))
    (tmp_path / "whole").write_bytes(pcap([frame_of(at, segment, ends) for at, segment, ends in happened]))
    parts = connections_of(names, None, 1 << 20)
    assert [(one.segments, one.octets) for one in parts] == [
        (one.segments, one.octets) for one in connections_of([tmp_path / "whole"], None, 1 << 20)
    ]
