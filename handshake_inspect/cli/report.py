"""`handshake-inspect report`: what was found, as one page to look at and to send on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from handshake_inspect.cli.bounds import Whole
from handshake_inspect.cli.options import (
    SelectionOptions,
    file_name,
    files_argument,
    jobs_option,
    ports_option,
    profile_option,
    reader_option,
    selection_options,
    writable_option,
)
from handshake_inspect.cli.shown_by import shown_by

if TYPE_CHECKING:
    from handshake_inspect.cli.captures import FilesRead

#: More files than this stand in no command that is to be copied.
FILES_IN_COMMAND = 5


@click.command("report")
@files_argument
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=file_name,
    callback=writable_option,
    help="Write the page to this file; - is standard output.  [required]",
)
@selection_options
@click.option(
    "--limit",
    type=Whole(min=0),
    default=20_000,
    show_default=True,
    metavar="N",
    help="List at most N connections: those with the worst findings, then the earliest. All are counted.",
)
@click.option(
    "--backlog",
    type=Whole(min=1),
    metavar="N",
    help="What the servers gave listen(), to which half-open connections are compared: no capture tells it.",
)
@profile_option
@ports_option
@click.option(
    "--strace",
    "log",
    metavar="LOG",
    type=file_name,
    help="Show the socket calls of a log beside the segments, as `show --strace` does.",
)
@reader_option
@jobs_option
def command(
    files: tuple[str, ...],
    output: str | None,
    asked: SelectionOptions,
    limit: int,
    backlog: int | None,
    profile: str,
    ports: tuple[int, int] | None,
    log: str | None,
    reader: str,
    jobs: int | None,
) -> int:
    """Write one page (HTML) about the connections of FILE...: to look at, to send on, to keep with a CI run.

    It needs no network and no other file: verdicts and findings counted, every connection in a table that sorts,
    filters and searches, the ladder of each, what happened over time. Payload is not on it.

    \b
    Examples:
      handshake-inspect report capture.pcap -o report.html
      handshake-inspect report day/*.pcap.gz -o day.html --where 'findings or resets'
      handshake-inspect report echo.pcap -o echo.html --strace server.log --backlog 5
      tcpdump -c 10000 -w - tcp | handshake-inspect report - -o report.html
    """
    import numpy as np

    from handshake_inspect import __version__
    from handshake_inspect.cli.captures import report
    from handshake_inspect.cli.choose import choice
    from handshake_inspect.cli.naming import files_named, refuse_overwriting, refuse_replacing
    from handshake_inspect.cli.standard_error import remark
    from handshake_inspect.cli.tracing import beside
    from handshake_inspect.lab.strace.log import read_log
    from handshake_inspect.quantities import counted
    from handshake_inspect.tcp.time_wait import PortRange

    target = _target(output)
    if find_spec("jinja2") is None:
        raise click.UsageError("report needs jinja2: pip install 'handshake-inspect[report]'")
    from handshake_inspect.views.page.document import PageRequest, document

    chosen = choice(asked)
    named = files_named(files)
    refuse_overwriting(named.files, target, "--output")
    refuse_replacing(target, "--output", "a page")
    trace = read_log(log) if log is not None else None
    with ExitStack() as stack:
        reading = _read(named.files, reader, profile, jobs, stack)
        if reading.useless:
            return reading.exit_code or named.exit_code
        run = reading.inspection
        found, said = beside(trace, run.connections) if trace is not None else (None, [])
        wanted = PageRequest(
            np.sort(chosen.streams(run)),
            run.exchanges if asked == SelectionOptions() else list(chosen.exchanges(run)),
            said=chosen.said,
            limit=limit,
            command=_command(files, profile),
            version=__version__,
            backlog=backlog,
            unread=[*(f"{name}: {why}" for name, why in named.failed), *map(str, reading.failed)],
            ports=None if ports is None else PortRange(*ports, "--ports"),
            calls_of=found.calls_of if found is not None else None,
            jobs=jobs,
        )
        _write(document(run, wanted), target)
    if not len(wanted.streams) and len(run.connections) and chosen.absence(run) is None:
        remark(f"none of {counted(len(run.connections), 'connection')} was chosen: the page lists none")
    for line in said:
        remark(line)
    report(run, udp_listed=True, findings_listed=True)
    return reading.exit_code or named.exit_code or chosen.absent_streams(run)


def _target(output: str | None) -> str | None:
    """Return the file to write, None for standard output. Raises click.UsageError."""
    if output is None:
        raise click.UsageError("report writes a page: say where to with -o report.html")
    if output == "-" and sys.stdout.isatty():
        raise click.UsageError("a page is nothing for a terminal: -o report.html")
    return None if output == "-" else output


def _read(files: Sequence[str], reader: str, profile: str, jobs: int | None, stack: ExitStack) -> FilesRead:
    """Read captures, also from pipes, and note the places of all records, because long transfers are read again."""
    from handshake_inspect.archive import Archive
    from handshake_inspect.cli.captures import inspect_files, kept
    from handshake_inspect.places import Places

    paths = {stack.enter_context(kept(file)): file for file in files}
    places = Places(stack.enter_context(Archive()))
    return inspect_files([*paths], reader, names=paths, profile=profile, jobs=jobs, places=places)


def _command(files: Sequence[str], profile: str) -> str:
    """Return the command that shows these captures on a terminal; "" if they are too many, or cannot be read again."""
    if len(files) > FILES_IN_COMMAND:
        return ""
    # The page puts `-s 12` behind it: no name may end the options before that.
    plain = [f"./{file}" if file.startswith("-") and file != "-" else file for file in files]
    return shown_by(plain, profile) or ""


def _write(pieces: Iterable[str], target: str | None) -> None:
    """Write the page when it is complete; until then an older file stays. Raises CaptureError."""
    from handshake_inspect.capture.writing.output import Output
    from handshake_inspect.cli.output import write_blocks

    page = b"".join(piece.encode("utf-8", "backslashreplace") for piece in pieces)
    if target is None:
        write_blocks([page])
        return
    output = Output(target)
    output.put(page)
    output.close()
