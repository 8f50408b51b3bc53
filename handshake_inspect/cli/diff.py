"""`handshake-inspect diff`: two captures compared, connection by connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import click

from handshake_inspect.cli.options import SelectionOptions, file_name, jobs_option, reader_option, selection_options

if TYPE_CHECKING:
    from rich.text import Text

    from handshake_inspect.cli.captures import FilesRead
    from handshake_inspect.compared.comparison import Comparison
    from handshake_inspect.compared.difference import Level
    from handshake_inspect.inspection import Inspection


@click.command("diff")
@click.argument("a", metavar="A", type=file_name)
@click.argument("b", metavar="B", type=file_name)
@click.option(
    "--level",
    type=click.Choice(["segments", "conversation", "verdict"]),
    default="segments",
    show_default=True,
    help="What counts. verdict: how connections opened and closed, and what was found, not whether the ACK of the"
    " first FIN was a segment of its own. conversation: that, and what was said in which order, not options, bare ACKs,"
    " repetitions, and how octets are cut into segments. segments: all of it.",
)
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@selection_options
@reader_option
@jobs_option
def command(a: str, b: str, level: Level, format_: str, asked: SelectionOptions, reader: str, jobs: int | None) -> int:
    """Compare two captures A and B, connection by connection, and show where they part.

    Initial sequence numbers, clients' ports, times and sizes of windows are of no account, nor is the order of
    connections, nor findings of severity chat that are a matter of times. A server is the same if address and port are,
    or else its port. A and B are files or folders.

    Exit code 0: all connections are the same. 1: at least one is not, or there is none. 2: a file could not be used.

    \b
    Examples:
      handshake-inspect diff before.pcap after.pcap
      handshake-inspect diff before.pcap after.pcap --level conversation --port 443
      handshake-inspect diff before/ after/ --level verdict --format json
    """
    from handshake_inspect.cli.captures import report
    from handshake_inspect.cli.choose import choice
    from handshake_inspect.cli.output import write, write_lines
    from handshake_inspect.compared.comparison import compare
    from handshake_inspect.views.compared_export import comparison_json
    from handshake_inspect.views.compared_lines import heading

    if a == b == "-":
        raise click.UsageError("standard input can be only one of the two captures")
    chosen = choice(asked)
    with ExitStack() as stack:
        ours, theirs = (read(name, reader, jobs, stack) for name in (a, b))
        code = max(ours.exit_code, theirs.exit_code)
        if ours.useless or theirs.useless:
            return code
        both = ours.inspection, theirs.inspection
        streams = chosen.streams(both[0]), chosen.streams(both[1])
        found = compare(*both, level, streams)
        if format_ == "json":
            write(comparison_json(found, *both))
        else:
            lines = heading((a, b), [len(some) for some in streams], [len(one.connections) for one in both])
            write_lines(chain(lines, text(found, *both)))
        for inspection in both:
            report(inspection, udp_lister="read --udp")
    absent = [
        chosen.absent_streams(one, f"{side} ({name})") for one, side, name in zip(both, "AB", (a, b), strict=True)
    ]
    return max(code, *absent) or int(not found.is_same)


def read(name: str, reader: str, jobs: int | None, stack: ExitStack) -> FilesRead:
    """Inspect one of the two captures, which can be read again until `stack` closes."""
    from handshake_inspect.capture.records import CaptureError
    from handshake_inspect.cli.captures import inspect_files, kept
    from handshake_inspect.cli.naming import files_named

    named = files_named([name])
    paths = {stack.enter_context(kept(file)): file for file in named.files}
    reading = inspect_files([*paths], reader, names=paths, jobs=jobs)
    unnamed = [CaptureError(f"{one}: {why}") for one, why in named.failed]
    return replace(reading, failed=[*reading.failed, *unnamed])


def text(found: Comparison, a: Inspection, b: Inspection) -> Iterator[Text]:
    """Yield the differences, the ladders of the first ones, and the summary."""
    from rich.text import Text

    from handshake_inspect.cli.output import text_width
    from handshake_inspect.compared.comparison import DRAWN
    from handshake_inspect.views.compared_ladders import two_ladders
    from handshake_inspect.views.compared_lines import difference_lines, notes, only_lines, summary

    width = text_width()
    for alike in found.different:
        yield Text()
        yield from difference_lines(alike, width)
    only = [*only_lines("A", a, found.only_a, width), *only_lines("B", b, found.only_b, width)]
    yield from [Text(), *only] if only else []
    for alike in found.different[:DRAWN]:
        yield Text()
        yield from two_ladders(alike.first, width)
    yield Text()
    yield from notes(found)
    yield summary(found)
