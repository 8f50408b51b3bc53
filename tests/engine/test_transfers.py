"""What is folded says what all of its rows would say: of long transfers, mirrors, and captures beside each other.

    HANDSHAKE_TRANSFERS=500 python -m pytest tests/engine/test_transfers.py

tries more of them.
"""

from __future__ import annotations

import os
import random
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from handshake_inspect.capture.headers.link_types import LINUX_SLL
from handshake_inspect.capture.inputs import Input
from handshake_inspect.connections.folding import compact
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.views.export import csv_lines
from handshake_inspect.views.json_lines import connection_lines
from tests.capture.builders import pcap
from tests.engine.transfers import Sent, mirrored, one_way, shown_twice, split_up, traffic
from tests.oracles.everything import everything
from tests.test_equal_results import frame_of

CAPTURES = int(os.environ.get("HANDSHAKE_TRANSFERS", "8"))
#: Pairs of captures that were told otherwise once: two of a mirror, which shows a packet again when what the other one
#: has too was gone; and two segments, 5 s before the other capture begins.
TOLD_OTHERWISE = (3142, 3873)
#: A rotation in which one file begins three seconds after the one before has ended.
LONG_PAUSE = 93
#: Of sockets used again one end is captured alone: only what the other sends later says which SYN-ACK began what.
SOCKETS_USED_AGAIN = 813


def written(path: Path, sent: list[Sent]) -> Path:
    path.write_bytes(pcap([frame_of(one.ip_id or 0, one, ends) for one, ends in sent]))
    return path


def inspected(paths: list[Path], gathering: GatheredRows | None, block_octets: int) -> Inspection:
    inspector = Inspector(fold=gathering is not None, jobs=1)
    if gathering is not None:
        inspector.analysis.gathering = gathering
    inspector.read([Input(path, block_octets=block_octets) for path in paths])
    return inspector.result()


def assert_folding_changes_nothing(rng: random.Random, paths: list[Path]) -> None:
    """Compare what is said of captures, folded as soon as there is anything to fold, with what is said of all rows."""
    block_octets = rng.choice((200, 1000, 5000, 1 << 20))
    gathering = GatheredRows(fold_rows=rng.choice((1, 1, 16, 100)), long_rows=rng.choice((1, 1, 8, 30)))
    folded, plain = inspected(paths, gathering, block_octets), inspected(paths, None, 1 << 25)
    assert everything(folded) == everything(plain)
    assert folded.copies == plain.copies
    assert folded.doubled_captures == plain.doubled_captures
    for lines in (csv_lines, connection_lines):
        one, other = (b"".join(lines(found.connections, found.connections.streams)) for found in (folded, plain))
        assert one == other


@pytest.mark.parametrize("seed", range(CAPTURES))
def test_folding_a_transfer_changes_nothing(tmp_path: Path, seed: int) -> None:
    rng = random.Random(f"transfers {seed}")
    assert_folding_changes_nothing(rng, [written(tmp_path / "transfers.pcap", traffic(rng))])


@pytest.mark.parametrize("seed", range(2 * CAPTURES))
def test_folding_what_a_mirror_shows_changes_nothing(tmp_path: Path, seed: int) -> None:
    rng = random.Random(f"mirror {seed}")
    assert_folding_changes_nothing(rng, [written(tmp_path / "mirror.pcap", mirrored(rng, traffic(rng)))])


@pytest.mark.parametrize("seed", [*range(2 * CAPTURES), *TOLD_OTHERWISE])
def test_folding_what_two_captures_show_changes_nothing(tmp_path: Path, seed: int) -> None:
    rng = random.Random(f"several {seed}")
    sent = traffic(rng)
    shown = split_up(rng, mirrored(rng, sent) if rng.random() < 0.2 else sent)
    assert_folding_changes_nothing(rng, [written(tmp_path / f"{n}.pcap", some) for n, some in enumerate(shown)])


@pytest.mark.parametrize("seed", [*range(4 * CAPTURES), SOCKETS_USED_AGAIN])
def test_folding_what_shows_one_direction_changes_nothing(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact, "UNDER_WAY", 8)
    rng = random.Random(f"one way {seed}")
    sent = one_way(rng, traffic(rng))
    how = rng.random()
    shown = split_up(rng, sent) if how < 0.2 else [mirrored(rng, sent) if how < 0.4 else sent]
    assert_folding_changes_nothing(rng, [written(tmp_path / f"{n}.pcap", some) for n, some in enumerate(shown)])


@pytest.mark.parametrize("seed", range(CAPTURES))
def test_folding_what_goes_out_and_comes_in_changes_nothing(tmp_path: Path, seed: int) -> None:
    """Linux' `any` shows loopback twice, and says which is which: that is no sign of a mirror, folded or not."""
    rng = random.Random(f"cooked {seed}")
    frames = []
    for one, ends in traffic(rng):
        octets, original, time_ns = frame_of(one.ip_id or 0, one, ends)
        for packet_type, later_ns in ((4, 0), (0, 20_000)):
            cooked = struct.pack("!HHH8sH", packet_type, 772, 6, bytes(8), 0x800)
            frames.append((cooked + octets[14:], original + 2, time_ns + later_ns))
    frames.sort(key=lambda frame: frame[2])
    path = tmp_path / "any.pcap"
    path.write_bytes(pcap(frames, link_type=LINUX_SLL))
    assert_folding_changes_nothing(rng, [path])


@pytest.mark.parametrize("seed", [*range(CAPTURES), 167])
def test_folding_what_a_mirror_shows_in_the_files_of_a_rotation_changes_nothing(tmp_path: Path, seed: int) -> None:
    rng = random.Random(f"mirror in files {seed}")
    shown = shown_twice(rng, traffic(rng))
    cuts = sorted({rng.randrange(len(shown)), rng.randrange(len(shown))} - {0})
    files = [shown[a:b] for a, b in pairwise([0, *cuts, len(shown)])]
    assert_folding_changes_nothing(rng, [written(tmp_path / f"{n}.pcap", some) for n, some in enumerate(files)])


@pytest.mark.parametrize("seed", [*range(CAPTURES), LONG_PAUSE])
def test_the_files_of_a_rotation_say_what_the_whole_says(tmp_path: Path, seed: int) -> None:
    """One packet is delivered twice, and the one ends a file, the other begins the next."""
    rng = random.Random(f"rotation {seed}")
    sent = traffic(rng)
    last = rng.randrange(len(sent))
    sent.insert(last, sent[last])
    cuts = sorted({last + 1, rng.randrange(len(sent)), rng.randrange(len(sent))} - {0})
    files = [
        written(tmp_path / f"{number}.pcap", sent[a:b]) for number, (a, b) in enumerate(pairwise([0, *cuts, len(sent)]))
    ]
    whole = inspected([written(tmp_path / "whole.pcap", sent)], None, 1 << 25)
    frames = {"first_frame", "last_frame", "frame", "frames", "entered_frame", "ended_frame"}

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: bare(one) for name, one in value.items() if name not in frames}
        return [bare(one) for one in value] if isinstance(value, list) else value

    assert_folding_changes_nothing(rng, files)
    assert bare(everything(inspected(files, None, 1 << 25))) == bare(everything(whole))
