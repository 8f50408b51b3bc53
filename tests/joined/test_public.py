"""Captures that others made: what is taken out of a copy of one is named, and nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.records import CaptureError, RawFrame
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.joined.fates import ARRIVED
from handshake_inspect.joined.join import join

MOST_OCTETS = 2_000_000
#: One frame in 20 is taken out.
SHARE = 0.05
#: One fragment that is taken out takes a whole packet with it.
NOT_COMPARED = (
    "zeek__tunnels_gtp_gtp1_gn_normal_incl_fragmentation.pcap",
    "zeek__tunnels_gtp_gtp2_different_udp_port.pcap",
)


def frames_of(path: Path) -> list[RawFrame]:
    try:
        with open_capture(path) as opened:
            return [records.raw(row) for records in opened for row in range(len(records))]
    except CaptureError:
        return []


def test_what_is_taken_out_is_missed(captures_dir: Path) -> None:
    """The copy stands for a place behind the first: of the originators it is lost, else it was made on the way."""
    random = np.random.default_rng(5)
    missed = 0
    for path in sorted(captures_dir.rglob("*.pcap*")):
        frames = frames_of(path) if path.stat().st_size < MOST_OCTETS else []
        if len({frame.link_type for frame in frames}) != 1 or len(frames) < 10 or path.name in NOT_COMPARED:
            continue
        kept = random.random(len(frames)) > SHARE
        captures = io.BytesIO(), io.BytesIO()
        for capture, some in zip(
            captures, (frames, [one for one, stays in zip(frames, kept, strict=True) if stays]), strict=True
        ):
            write_pcap(capture, some, frames[0].link_type)
            capture.seek(0)
        found = join(*captures).comparison
        whole, fates = found.first.seen["frame"], found.fates
        gone = np.isin(whole, np.flatnonzero(~kept) + 1)
        assert ((fates.first != ARRIVED) == gone).all(), path
        assert (fates.second == ARRIVED).all(), path
        missed += int(gone.sum())
    assert missed > 100
