"""The progress of the work on captures: a line on standard error, if that is a terminal, after a second.

In: an inspector at work, and how many octets of each file were read. Out: a line that is rewritten at most five times a
second, and cleared at the end. A thread writes it, so that it goes on while a pipe blocks or connections are decided,
and reading does not wait for it; without a terminal there is no thread.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from handshake_inspect.cli.output import StatusLine
from handshake_inspect.forks import Onlooker
from handshake_inspect.plain import plain
from handshake_inspect.quantities import counted
from handshake_inspect.there import is_file, is_there

if TYPE_CHECKING:
    from handshake_inspect.inspector import Inspector

#: Work that is done sooner needs no line, and how often the line changes.
AFTER_S, EVERY_S = 1.0, 0.2
#: Rates are those of the last seconds.
RATE_S = 5.0
#: How wide the bar is, and the narrowest terminal that has one.
BAR_COLUMNS, BAR_FROM_COLUMNS = 20, 60
SEPARATOR = " · "


@plain
class Sample:
    """The progress at one moment."""

    at_s: float
    packets: int
    #: Of the files as they are, compressed or not.
    octets: int
    connections: int


class Progress:
    """Shows the progress of an inspector with some files, as a context manager."""

    def __init__(self, inspector: Inspector, files: Sequence[str]) -> None:
        self._inspector = inspector
        #: Octets of all files; None if the size of one is not known.
        self._total = _total_octets(files)
        self._read: dict[str, int] = {}
        self._samples: deque[Sample] = deque()
        self._deciding_since_s: float | None = None
        self._line = StatusLine()
        self._is_over = threading.Event()
        self._writing = threading.Lock()
        self._thread = Onlooker(target=self._run, name="handshake-inspect progress", daemon=True)

    def __enter__(self) -> Self:
        if self._line.is_shown:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        if self._line.is_shown:
            self._thread.join()
        self._line.clear()

    def has_read(self, name: str, octets: int) -> None:
        """Note how many octets of a file were read."""
        self._read[name] = octets

    def decides(self) -> None:
        """Note that everything was read; a line that is shown says so at once."""
        self._deciding_since_s = time.monotonic()
        with self._writing:
            if self._line.stands:
                self._line.show(self._text())

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Clear the line while something else is printed."""
        with self._writing:
            self._line.clear()
            yield

    def _run(self) -> None:
        self._samples.append(self._sample())
        wait_s = AFTER_S
        while not self._is_over.wait(wait_s):
            wait_s = EVERY_S
            with self._writing:
                self._line.show(self._text())

    def _text(self) -> str:
        now = self._sample()
        if self._deciding_since_s is not None:
            return decided(now, now.at_s - self._deciding_since_s, self._line.room)
        self._samples.append(now)
        while now.at_s - self._samples[0].at_s > RATE_S:
            self._samples.popleft()
        return described(now, self._samples[0], self._total, self._line.room)

    def _sample(self) -> Sample:
        packets = sum(one.frames for one in tuple(self._inspector.captures))
        connections = len(self._inspector.analysis.gathering.conversations)
        return Sample(time.monotonic(), packets, sum(tuple(self._read.values())), connections)


def _total_octets(files: Sequence[str]) -> int | None:
    if "-" in files:
        return None
    there = [path for path in map(Path, files) if is_there(path)]
    return sum(path.stat().st_size for path in there) if all(is_file(path) for path in there) else None


def decided(now: Sample, for_s: float, room: int) -> str:
    """Return the line while connections are decided, with the time that it has taken."""
    what = f"deciding {counted(now.connections, 'connection')}"
    return _fitted([(0, what), *([(1, f"{for_s:.0f} s")] if for_s >= 1 else [])], room)


def described(now: Sample, before: Sample, total: int | None, room: int) -> str:
    """Return the line while captures are read, as far as it fits."""
    elapsed_s = now.at_s - before.at_s
    packets_rate = (now.packets - before.packets) / elapsed_s if elapsed_s else 0
    octets_rate = (now.octets - before.octets) / elapsed_s if elapsed_s else 0
    parts = [(1, counted(now.packets, "packet")), (3, counted(now.connections, "connection"))]
    if total and now.octets:  # through Scapy nothing is known of octets
        share = min(now.octets / total, 1.0)
        done = round(share * BAR_COLUMNS)
        bar = "━" * done + "─" * (BAR_COLUMNS - done) if room >= BAR_FROM_COLUMNS else ""
        unit = _amount(total)[-3:]
        parts = [
            (0, f"{bar} {100 * share:.0f} %".lstrip()), *parts,
            (4, f"{_amount(now.octets).removesuffix(unit)} of {_amount(total)}"),
        ]  # fmt: skip
    else:
        parts.append((4, _amount(now.octets)))
    if elapsed_s:
        parts += [(5, f"{packets_rate:,.0f} packets/s"), (6, f"{_amount(octets_rate)}/s")]
    if total and octets_rate:
        parts.append((2, f"{_time(max(total - now.octets, 0) / octets_rate)} left"))
    return _fitted(parts, room)


def _fitted(parts: list[tuple[int, str]], room: int) -> str:
    """Join parts, leaving out those of the highest numbers until the line fits."""
    while len(parts) > 1 and len(SEPARATOR.join(text for _, text in parts)) > room:
        parts = [part for part in parts if part != max(parts)]
    return SEPARATOR.join(text for _, text in parts)


def _amount(octets: float) -> str:
    return f"{octets / 1e6:,.0f} MB" if octets < 1e10 else f"{octets / 1e9:,.1f} GB"


def _time(seconds: float) -> str:
    """Return a duration as text: "7 s", "3 min 20 s", "2 h 05 min"."""
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest_s:02d} s" if minutes else f"{rest_s} s"
