"""Remarks, and a line that tells how far the work is, on standard error. A capture is begun before more is imported."""

from __future__ import annotations

import os
import sys

from handshake_inspect.views.escape import printable


def remark(text: str) -> None:
    """Print one line on standard error."""
    sys.stdout.flush()
    print(printable(text), file=sys.stderr)


class StatusLine:
    """One line on standard error that is rewritten in place; it shows nothing without a terminal that can do that."""

    def __init__(self) -> None:
        self.is_shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        #: What stands there.
        self._text = ""

    @property
    def room(self) -> int:
        """The columns that it may take; the last one stays free, so that no terminal wraps."""
        import shutil  # 1.4 ms, and most do not look

        if "COLUMNS" in os.environ:
            return shutil.get_terminal_size().columns - 1
        try:  # of standard error: results may go to a file
            return os.get_terminal_size(sys.stderr.fileno()).columns - 1
        except (OSError, ValueError):
            return shutil.get_terminal_size().columns - 1

    @property
    def stands(self) -> bool:
        """Is anything shown?"""
        return bool(self._text)

    def show(self, text: str) -> None:
        """Replace the line by this text."""
        from handshake_inspect.views.table import cut_end

        text = cut_end(text, self.room)
        if self.is_shown and text != self._text:
            self._write(text)

    def clear(self) -> None:
        """Clear the line."""
        if self._text:
            self._write("")

    def _write(self, text: str) -> None:
        sys.stdout.flush()
        sys.stderr.write(f"\r{text}\x1b[K")
        sys.stderr.flush()
        self._text = text
