"""`handshake-inspect browse`: the connections of captures on the whole terminal, with the ladder of the chosen one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from handshake_inspect.cli.options import (
    SelectionOptions,
    files_argument,
    index_option,
    jobs_option,
    profile_option,
    selection_options,
)

if TYPE_CHECKING:
    from handshake_inspect.capture.frames import CaptureFile
    from handshake_inspect.cli.captures import FilesRead
    from handshake_inspect.connections.connection import Connection, Step
    from handshake_inspect.screen.files import Files
    from handshake_inspect.screen.sight import Streams


#: What lists the UDP of captures, which the screen does not.
UDP_LISTER = "read --udp"


@click.command("browse")
@files_argument
@selection_options
@click.option(
    "--sort", metavar="FIELD", help="Order by a field of the JSON or by duration; -FIELD puts the largest first."
)
@index_option
@profile_option
@jobs_option
def command(
    files: tuple[str, ...], asked: SelectionOptions, sort: str | None, index: bool, profile: str, jobs: int | None
) -> int:
    """Browse the connections of FILE... on the whole terminal: a list of any length, and the ladder of the chosen one.

    Filters (words, or conditions as in `read --where`), sorts by column, finds, explains what was found, saves a
    connection, and copies the command that shows it: ? lists the keys.

    \b
    Examples:
      handshake-inspect browse capture.pcap
      handshake-inspect browse day/ --where 'handshake.kind == "half-open"'
      handshake-inspect browse big.pcap --sort -octets.responder
      tcpdump -w - | handshake-inspect browse -
    """
    from handshake_inspect.archive import Archive
    from handshake_inspect.cli.captures import inspect_files, kept, report
    from handshake_inspect.cli.choose import choice
    from handshake_inspect.cli.indexing import has_index, index_made, refuse_index
    from handshake_inspect.cli.naming import files_named
    from handshake_inspect.cli.screens import TextualImport, refuse_without_screen, run_screen
    from handshake_inspect.places import Places

    refuse_without_screen()
    chosen = choice(asked, sort)
    named = files_named(files)
    if index:
        refuse_index(named.files, "auto")
    with ExitStack() as stack, TextualImport() as importing:
        paths = {file: stack.enter_context(kept(file)) for file in named.files}
        making = None
        if index and named.files and not has_index(named.files[0], profile):
            making = stack.enter_context(index_made(named.files[0]))
        places = making.places if making else Places(stack.enter_context(Archive()))
        names = {path: name for name, path in paths.items()}
        reading = inspect_files([*paths.values()], names=names, profile=profile, jobs=jobs, places=places)
        if making:
            making.reading = reading
        if reading.useless:
            return reading.exit_code or named.exit_code
        streams = chosen.streams(reading.inspection)
        files_read = source_of(reading, {**paths, **reading.located}, streams, profile)
        suited = importing.suited()
        with files_read.answering():
            run_screen(files_read, suited)
        report(reading.inspection, udp_lister=UDP_LISTER)
        return reading.exit_code or named.exit_code or chosen.absent_streams(reading.inspection)


def source_of(
    reading: FilesRead, captures: Mapping[str, CaptureFile], streams: Streams, profile: str = "linux"
) -> Files:
    """Return the captures that were read, as a source of the screen."""
    from handshake_inspect.cli.drawing import LadderSettings, payload_shown
    from handshake_inspect.cli.show import save
    from handshake_inspect.cli.shown_by import shown_by
    from handshake_inspect.quantities import counted
    from handshake_inspect.screen.files import Files
    from handshake_inspect.views.address_names import names_of_ends
    from handshake_inspect.views.escape import printable
    from handshake_inspect.views.ladder import LadderOptions, LadderParts, ladder_parts
    from handshake_inspect.views.remarks import remarks

    run = reading.inspection

    def draw(connection: Connection, steps: Sequence[Step], width: int) -> LadderParts:
        return ladder_parts(
            connection,
            steps,
            title=f"stream {connection.stream} of {connection.capture}",
            facts=[counted(len(steps), "segment"), *connection.encapsulation, *names_of_ends(run, connection)],
            payload=payload_shown(steps, LadderSettings(), captures, connection.capture),
            options=LadderOptions(width=width),
        )

    def saved(connection: Connection, steps: Sequence[Step], target: str) -> str:
        return save(captures, connection.capture, [*steps, *connection.icmp_errors], target)

    names = [one.name for one in run.captures]
    title = names[0] if len(names) == 1 else f"{len(names)} captures"
    return Files(
        run,
        streams,
        title,
        draw=draw,
        save=saved,
        command=lambda stream: shown_by(names, profile, stream),
        remarks=[*(printable(str(one)) for one in reading.failed), *remarks(run.overview, udp_lister=UDP_LISTER)],
        is_damaged=bool(reading.failed or run.damage),
    )
