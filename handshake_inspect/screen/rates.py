"""Segments per second of a live capture, over the last seconds."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from handshake_inspect.screen.sight import Traffic


class Rates:
    """Segments per second, over the last seconds."""

    #: Over how long it is counted.
    SPAN_S = 2.0

    def __init__(self) -> None:
        self._noted: list[tuple[float, int]] = []

    def note(self, traffic: Traffic) -> None:
        """Note the counts so far."""
        now_s = time.monotonic()
        self._noted.append((now_s, traffic.segments))
        self._noted = [*self._since(now_s - self.SPAN_S, self._noted)]

    @property
    def segments(self) -> float:
        """Segments per second; 0 if nothing was noted for long."""
        now_s = time.monotonic()
        if len(self._noted) < 2 or self._noted[-1][0] < now_s - self.SPAN_S:
            return 0.0
        (first_s, first), (_, last) = self._noted[0], self._noted[-1]
        return (last - first) / max(now_s - first_s, 0.1)

    @staticmethod
    def _since(moment_s: float, noted: Sequence[tuple[float, int]]) -> Iterable[tuple[float, int]]:
        """Return the notes since then, and the last one before."""
        begin = max((place for place, (at_s, _) in enumerate(noted) if at_s < moment_s), default=0)
        return noted[begin:]
