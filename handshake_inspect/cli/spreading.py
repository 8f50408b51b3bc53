"""Files named on the command line -> an inspection, made by a cluster of Dask."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import click

from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.capture.remote import is_remote
from handshake_inspect.cli.captures import FilesRead
from handshake_inspect.cli.groups import INTERRUPTED
from handshake_inspect.cli.output import StatusLine
from handshake_inspect.cli.remains import SIGNALS
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.spread.cluster import LOCAL, ClusterError, cluster
from handshake_inspect.spread.run import inspect_spread
from handshake_inspect.there import is_there


def inspect_on_cluster(
    address: str, files: Sequence[str], reader: str, *, profile: str, workers: int | None = None
) -> FilesRead:
    """Inspect captures as one run, on the workers of a cluster; report each one that cannot be used, in one line.

    `workers`: how many to start here, where the address is LOCAL.
    """
    if workers and address != LOCAL:
        raise click.UsageError(f"--jobs goes with --dask local: how many workers {address} has is its own affair")
    failed: list[CaptureError] = []

    def note(error: CaptureError) -> None:
        remark(f"Error: {error}")
        failed.append(error)

    inputs = [Input(_everywhere(file), reader, name=file) for file in files if _can_be_sent(file, note)]
    try:
        watch = _progress if StatusLine().is_shown else lambda *_: None
        with _in_order(), cluster(address, watch, workers, lambda line: remark(f"--dask {line}")) as engine:
            inspection = inspect_spread(inputs, engine, profile=profile, failed=note)
    except ClusterError as error:
        raise CaptureError(f"--dask {error}") from None
    except KeyboardInterrupt:
        remark("interrupted: the workers had not ended, so there is nothing to show")
        raise click.exceptions.Exit(INTERRUPTED) from None
    return FilesRead(inspection, failed, interrupted=False)


@contextlib.contextmanager
def _in_order() -> Iterator[None]:
    """Have SIGTERM, and the end of the terminal, end the work in order as Ctrl-C does: workers are left by neither."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _everywhere(file: str) -> str:
    """Return a name of a file that is valid in every folder."""
    return file if is_remote(file) else os.path.abspath(file)  # noqa: PTH100 - links stay as they are


def _can_be_sent(file: str, note: Callable[[CaptureError], None]) -> bool:
    """Can other processes open the file by its name?"""
    if Input(file).can_be_opened_again or (file != "-" and not is_there(file)):
        return True  # where it is not there, the worker says so
    note(CaptureError(f"{file}: --dask reads files, which each worker opens itself; save it to a file first"))
    return False


def _progress(doing: str, done: int, of: int) -> None:
    """Show the progress on the terminal; clear the line at the end."""
    what = {"read": "groups of files", "decided": "shares of the connections"}.get(doing, "groups of files")
    line = f"\r{doing} on workers: {done:,} of {of:,} {what}\x1b[K" if done < of else "\r\x1b[K"
    print(line, end="", file=sys.stderr, flush=True)
