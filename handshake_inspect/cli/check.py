"""`handshake-inspect check`: do all connections open and close as expected? For CI."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from handshake_inspect.cli.options import Asked, files_argument, profile_option, reader_option, selection_options
from handshake_inspect.quantities import listed
from handshake_inspect.views.words import HANDSHAKE_KINDS, TEARDOWN_KINDS, nearest

if TYPE_CHECKING:
    from handshake_inspect.connections.connection import Connection
    from handshake_inspect.inspection import Inspection


def _kinds(known: tuple[str, ...]) -> Callable[[click.Context, click.Parameter, str | None], tuple[str, ...]]:
    """Return a callback that splits K[,K] and refuses words that are no kinds."""

    def split(_ctx: click.Context, _param: click.Parameter, text: str | None) -> tuple[str, ...]:
        kinds = tuple(kind.strip() for kind in text.split(",")) if text is not None else ()
        for kind in kinds:
            if kind not in known:
                hint = nearest(kind, list(known)) or f" Kinds are {listed(known)}."
                raise click.BadParameter(f"{kind!r} is no kind.{hint}")
        return kinds

    return split


#: Ladders drawn of connections that differ; the lines name them all.
MOST_LADDERS = 3


@click.command("check")
@files_argument
@click.option("--handshake", metavar="K[,K]", callback=_kinds(HANDSHAKE_KINDS), help="Kinds of opening that are right.")
@click.option("--teardown", metavar="K[,K]", callback=_kinds(TEARDOWN_KINDS), help="Kinds of closing that are right.")
@selection_options
@profile_option
@reader_option
def command(
    files: tuple[str, ...],
    handshake: tuple[str, ...],
    teardown: tuple[str, ...],
    asked: Asked,
    profile: str,
    reader: str,
) -> int:
    """Check how the connections of FILE... opened and closed; name every one that differs, and draw the first ladders.

    Exit code 0: all are as expected. 1: at least one differs, or there is none to check. 2: a file could not be used.

    \b
    Examples:
      handshake-inspect check echo.pcap --handshake three-way --teardown four-way,three-segment
      handshake-inspect check *.pcap --handshake three-way --port 8000
    """
    from handshake_inspect.cli.captures import inspect_files, report
    from handshake_inspect.cli.choose import choice
    from handshake_inspect.cli.naming import files_named

    if not handshake and not teardown:
        raise click.UsageError("nothing to check: give --handshake or --teardown, or both")
    chosen = choice(asked)
    named = files_named(files)
    reading = inspect_files(named.files, reader, profile=profile)
    checked, failed = 0, 0
    drawn: list[Connection] = []
    for connection in chosen.of(reading.inspection):
        checked += 1
        differences = compare(connection, handshake, teardown)
        if differences:
            failed += 1
            print_failure(connection, differences)
            drawn += [connection] if failed <= MOST_LADDERS else []
    draw_failures(reading.inspection, drawn, failed)
    report(reading.inspection, udp_listed=checked > 0, udp_lister="read --udp")
    unusable = reading.exit_code or named.exit_code or chosen.absent_streams(reading.inspection)
    if unusable:
        return unusable
    return summary(checked, failed)


def compare(connection: Connection, handshake: tuple[str, ...], teardown: tuple[str, ...]) -> list[str]:
    """Return what differs from the expectation, in words."""
    seen = (("handshake", handshake, connection.handshake.kind), ("teardown", teardown, connection.teardown.kind))
    return [
        f"{what}: expected {listed(expected, 'or')}, seen {kind}"
        for what, expected, kind in seen
        if expected and kind not in expected
    ]


def print_failure(connection: Connection, differences: list[str]) -> None:
    """Print what differs, in one line."""
    from handshake_inspect.cli.output import write
    from handshake_inspect.views.escape import printable

    name = f"{printable(connection.capture)} stream {connection.stream}"
    write([f"FAILED {name}: {'; '.join(differences)}\n"])


def draw_failures(inspection: Inspection, drawn: list[Connection], failed: int) -> None:
    """Print the ladders that show why: of the first few, so that many failures do not bury each other."""
    from handshake_inspect.capture.inputs import Input
    from handshake_inspect.cli.drawing import Look, draw, names_of_ends
    from handshake_inspect.cli.output import write, write_lines

    paths = {one.name: one.name for one in inspection.captures if Input(one.name).is_file}
    for connection in drawn:
        write(["\n"])
        names = names_of_ends(inspection, connection)
        write_lines(draw(connection, inspection.steps(connection.stream), Look(), paths=paths, names=names))
    if failed > len(drawn):
        write([f"\nthe ladders of {failed - len(drawn):,} more: `show FILE... --stream N` with the same files\n"])
    if drawn:
        write(["\n"])


def summary(checked: int, failed: int) -> int:
    """Print how many were checked, and return the exit code."""
    from handshake_inspect.cli.output import write
    from handshake_inspect.quantities import counted

    if checked == 0:
        write(["FAILED: there was no connection to check\n"])
        return 1
    if failed:
        write([f"{failed:,} of {checked:,} connections failed\n"])
        return 1
    write([f"ok: {counted(checked, 'connection')}\n"])
    return 0
