"""The same programs, run again: a capture with other initial numbers, ports, times, IP IDs and timestamps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture_reading import CaptureReading
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.table import Block, IcmpErrorTable, SegmentTable

PCAPS = Path(__file__).parents[2] / "pcaps"
MODULUS = 1 << 32
ACK, RST = 16, 4
FIRST_USER_PORT = 1024


@dataclass(frozen=True)
class Run:
    """By how much everything is moved that no two runs have in common."""

    #: Of numbers: of the end with an even and with an odd sum of address and port, that is, mostly of both ends.
    seq: tuple[int, int] = (0, 0)
    port: int = 0
    time_ns: int = 0
    ip_id: int = 0
    timestamp: int = 0
    #: By what every time since the first one is multiplied, and divided.
    pace: tuple[int, int] = (1, 1)


#: What lies around the end of the number space (RFC 9293 §3.4) is tried on purpose.
NUMBERS = st.one_of(st.integers(0, MODULUS - 1), st.integers(MODULUS - 200, MODULUS - 1))
RUNS = st.builds(
    Run,
    seq=st.tuples(NUMBERS, NUMBERS),
    port=st.integers(0, 60_000),
    time_ns=st.integers(0, 10**18),
    ip_id=st.integers(0, 60_000),
    timestamp=NUMBERS,
)


class _Reread(CaptureReading):
    def __init__(self, rerun: _Rerun) -> None:
        super().__init__(rerun.names, rerun.workers)
        self._rerun = rerun

    def count_rows(self, block: Block, capture: int, frames: int, time_ns: NDArray[np.int64]) -> None:
        super().count_rows(block, capture, frames, self._rerun.time_ns(time_ns))


class _Rerun(Inspector):
    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        self._first_ns: int | None = None
        self.reading = _Reread(self)

    def take(self, block: Block) -> None:
        segments, errors = _segments(block.segments, self.run), _errors(block.icmp_errors, self.run)
        for table in (segments, errors):
            table.columns["time_ns"] = self.time_ns(table.columns["time_ns"])
        super().take(replace(block, segments=segments, icmp_errors=errors))

    def time_ns(self, time_ns: NDArray[np.generic]) -> NDArray[np.int64]:
        times = time_ns.astype(np.int64)
        if self._first_ns is None and len(times):
            self._first_ns = int(times[0])
        first, (factor, divisor) = self._first_ns or 0, self.run.pace
        return first + (times - first) * factor // divisor + self.run.time_ns


def rerun(path: Path | str, run: Run) -> Inspection:
    """Inspect a capture as if it were of another run."""
    inspector = _Rerun(run)
    inspector.read([Input(str(path))])
    return inspector.result()


def _segments(table: SegmentTable, run: Run) -> SegmentTable:
    columns = dict(table.columns)
    named = columns["flags"] & ACK != 0
    # RFC 9293 §3.5.2: the number of an RST,ACK, which answers a segment without ACK, is always 0.
    fixed = named & (columns["flags"] & RST != 0) & (columns["seq"] == 0)
    columns["seq"] = np.where(fixed, 0, _moved(columns["seq"], _shift(columns, "src", run)))
    columns["ack"] = np.where(named, _moved(columns["ack"], _shift(columns, "dst", run)), columns["ack"])
    stamped = columns["has_timestamps"] != 0
    columns["timestamp_value"] = np.where(stamped, _moved(columns["timestamp_value"], run.timestamp), 0)
    echoes = stamped & (columns["timestamp_echo"] != 0)
    columns["timestamp_echo"] = np.where(echoes, _moved(columns["timestamp_echo"], run.timestamp), 0)
    return SegmentTable(columns | _common(columns, run))


def _errors(table: IcmpErrorTable, run: Run) -> IcmpErrorTable:
    columns = dict(table.columns)
    columns["seq"] = np.where(columns["has_seq"] != 0, _moved(columns["seq"], _shift(columns, "src", run)), 0)
    return IcmpErrorTable(columns | _common(columns, run))


def _common(columns: dict[str, NDArray[np.generic]], run: Run) -> dict[str, NDArray[np.generic]]:
    ids = columns["ip_id"].astype(np.int64)
    return {
        "src_port": _port(columns["src_port"], run.port),
        "dst_port": _port(columns["dst_port"], run.port),
        # 0 is no number of a packet.
        "ip_id": np.where(ids == 0, 0, (ids - 1 + run.ip_id) % 0xFFFF + 1).astype(np.uint16),
    }


def _shift(columns: dict[str, NDArray[np.generic]], end: str, run: Run) -> NDArray[np.int64]:
    """By how much the numbers of an end are moved: whichever sockets it is, always by the same."""
    odd = (columns[f"{end}_lo"].astype(np.int64) + columns[f"{end}_port"].astype(np.int64)) % 2
    return np.where(odd == 1, run.seq[1], run.seq[0]).astype(np.int64)


def _moved(numbers: NDArray[np.generic], by: NDArray[np.int64] | int) -> NDArray[np.uint32]:
    return ((numbers.astype(np.int64) + by) % MODULUS).astype(np.uint32)


def _port(ports: NDArray[np.generic], by: int) -> NDArray[np.uint16]:
    """Move a port within those that a kernel gives away; the others are chosen by people."""
    number = ports.astype(np.int64)
    moved = FIRST_USER_PORT + (number - FIRST_USER_PORT + by) % (65536 - FIRST_USER_PORT)
    return np.where(number < FIRST_USER_PORT, number, moved).astype(np.uint16)
