"""Engines for tests: functions run here, with what would go over a network pickled."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

from handshake_inspect.capture.records import CaptureError


def refuse(error: CaptureError) -> None:
    """Let no capture be unusable."""
    raise error


class Here:
    """Runs each function at once."""

    workers = 1

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run it, with copies of its arguments."""
        sent, given = pickle.loads(pickle.dumps((function, arguments)))
        return sent(*given)

    def results(self, submitted: Sequence[Any], doing: str) -> list[Any]:
        """Return copies of results."""
        results: list[Any] = pickle.loads(pickle.dumps(list(submitted)))
        return results
