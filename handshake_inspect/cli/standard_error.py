"""Remarks on standard error, apart from `output`: a large capture is begun before more is imported."""

from __future__ import annotations

import sys

from handshake_inspect.views.escape import printable


def remark(text: str) -> None:
    """Print one line on standard error."""
    sys.stdout.flush()
    print(printable(text), file=sys.stderr)
