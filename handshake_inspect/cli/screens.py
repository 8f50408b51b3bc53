"""Whether a command has the whole terminal, and running the screen on it.

In: the options, standard input and output. Out: the screen of a `Source`, until the user leaves it. Textual comes with
the extra `screen`; a thread imports it while captures are read.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from handshake_inspect.cli.standard_error import remark

if TYPE_CHECKING:
    from handshake_inspect.screen.sight import Source
    from handshake_inspect.screen.terminal import Suited

#: After so many new objects the garbage collector runs again, Python's default: a screen may stay for days.
OFTEN = 700

#: What to install where Textual is missing.
INSTALL = "pip install 'handshake-inspect[screen]'"


def is_terminal() -> bool:
    """Are input and output a terminal that can move its cursor?"""
    return sys.stdin.isatty() and can_show()


def can_show() -> bool:
    """Is the output a terminal that can move its cursor?"""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def wants_screen() -> bool:
    """Is a live capture shown on the screen? If only Textual is missing, print how to install it."""
    if not is_terminal():
        return False
    if find_spec("textual") is None:
        remark(f"for the live screen: {INSTALL}; --plain does not say this")
        return False
    return True


def refuse_without_screen() -> None:
    """Raise click.UsageError if the screen cannot be shown."""
    if not can_show():
        raise click.UsageError("browse needs a terminal; `handshake-inspect read` lists the connections anywhere")
    if find_spec("textual") is None:
        raise click.UsageError(f"browse needs textual: {INSTALL}")


class TextualImport:
    """Imports Textual and asks the terminal for its colours, in a thread."""

    def __init__(self) -> None:
        self._suited: Suited | None = None
        self._thread = threading.Thread(target=self._run, name="handshake-inspect import", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.join()

    def suited(self) -> Suited | None:
        """Wait for the thread, and return the colours of the terminal; None if they could not be found out."""
        self._thread.join()
        return self._suited

    def _run(self) -> None:
        import handshake_inspect.screen.app  # noqa: F401
        from handshake_inspect.screen.terminal import colours_of_terminal

        self._suited = colours_of_terminal()


def run_screen(source: Source, suited: Suited | None = None) -> None:
    """Show the screen of a source until the user leaves it. Raises click.UsageError without a terminal for keys.

    If it is not known what is `suited` to the terminal, that is asked.
    """
    from handshake_inspect.screen.app import ConnectionsApp
    from handshake_inspect.screen.terminal import colours_of_terminal, driver, terminal_as_input

    gc.set_threshold(OFTEN)  # `main` lets much gather, for commands that soon end
    try:
        with terminal_as_input():
            suited = suited or colours_of_terminal()
            drawing = driver(owes_answer=suited.owes_answer)
            ConnectionsApp(source, suited.colours, driver_class=drawing).run()
    except OSError as error:
        raise click.UsageError(f"there is no terminal to read keys from: {error.strerror or error}") from None
