"""`handshake-inspect show`: the ladder of one connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from handshake_inspect.cli.bounds import OneStream, Whole
from handshake_inspect.cli.options import (
    file_name,
    files_argument,
    index_option,
    jobs_option,
    ladder_options,
    lesson_options,
    once,
    profile_option,
    reader_option,
    write_option,
)

if TYPE_CHECKING:
    from handshake_inspect.capture.frames import CaptureFile
    from handshake_inspect.cli.captures import FilesRead
    from handshake_inspect.cli.drawing import LadderSettings
    from handshake_inspect.connections.connection import Connection, IcmpError, Step
    from handshake_inspect.inspection import Inspection
    from handshake_inspect.lab.calls import SocketCall
    from handshake_inspect.lab.strace.log import SocketLog
    from handshake_inspect.overview import Overview

#: What to do for several connections.
SEVERAL = "show draws one, read --stream lists several"
#: Connections that are listed where one of them must be chosen, at most.
MOST_LISTED = 100


@click.command("show")
@files_argument
@click.option(
    "-s",
    "--stream",
    metavar="N",
    type=OneStream(SEVERAL),
    multiple=True,
    callback=once(SEVERAL),
    help="Which connection, by its number in `read`.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "svg", "mermaid", "html", "golden"]),
    default="text",
    show_default=True,
    help="svg, mermaid, html: the ladder as a picture, for a document. golden: text for a repository, of all "
    "connections, without what differs from run to run.",
)
@ladder_options
@lesson_options
@click.option("--dissect", type=Whole(min=1), metavar="N", help="Print frame N in full (Scapy) and nothing else.")
@write_option("Save just this connection: pcap, or pcapng where FILE ends in .pcapng.")
@index_option
@profile_option
@click.option(
    "--strace",
    "log",
    metavar="LOG",
    type=file_name,
    multiple=True,
    callback=once("put the logs of several programs together: cat LOG LOG > BOTH"),
    help="Show the socket calls of a log beside the segments: strace -f -ttt -T -yy -e trace=network,close,read,write.",
)
@reader_option
@jobs_option
def command(
    files: tuple[str, ...],
    stream: int | None,
    format_: str,
    numbers: str,
    clock: str,
    payload_octets: int,
    show_all: bool,
    step: bool,
    quiz: bool,
    dissect: int | None,
    target: str | None,
    index: bool,
    profile: str,
    log: str | None,
    reader: str,
    jobs: int | None,
) -> int:
    """Draw the ladder of one connection of FILE...: every segment, both states after it, and the proof.

    Without --stream the captures must hold one connection; if they hold more these are listed. Several files are one
    run, as in `read`: the numbers of connections are the same.

    --step and --quiz make a lesson of it, which asks for the states and explains them.

    --format golden prints all connections unless --stream names one, without times, addresses, ports and absolute
    numbers: the same programs give the same text again.

    --format svg and html print one file that needs nothing else; mermaid prints a sequence diagram, which forges draw
    out of a fenced block of Markdown.

    \b
    Examples:
      handshake-inspect show capture.pcap
      handshake-inspect show capture.pcap --stream 3 --numbers absolute --time utc
      handshake-inspect show capture.pcap -s 3 -w one.pcap
      handshake-inspect show big.pcap -s 3 --index
      handshake-inspect show capture.pcap -s 3 --step
      handshake-inspect show capture.pcap -s 3 --dissect 12
      handshake-inspect show capture.pcap -s 3 --strace client.log
      handshake-inspect show client-side.pcap server-side.pcap -s 3 --format json
      handshake-inspect show capture.pcap -s 3 --format svg > ladder.svg
      handshake-inspect show echo.pcap --format golden > echo.golden
    """
    from handshake_inspect.capture.records import CaptureError
    from handshake_inspect.cli.captures import kept
    from handshake_inspect.cli.naming import files_named, refuse_overwriting

    refuse_in_vain(format_, {"--numbers": numbers != "symbolic", "--time": clock != "relative"})
    named = files_named(files)
    if index:
        from handshake_inspect.cli.indexing import refuse_index

        others = {"--dissect": dissect, "--strace": log, "--format golden": format_ == "golden"}
        refuse_index(named.files, reader, **others)
    refuse_overwriting(named.files, target, "--write")
    if step or quiz:
        from handshake_inspect.cli.lesson import refuse_lesson

        refuse_lesson(named.files, format_, dissect, quiz=quiz)
    trace = None
    if log is not None:
        from handshake_inspect.lab.strace.log import read_log

        trace = read_log(log)
    if dissect is not None and len(named.files) > 1:
        raise CaptureError(f"--dissect {dissect}: {len(named.files)} files have such a frame; name one of them")
    look = {"numbers": numbers, "clock": clock, "payload_octets": payload_octets, "show_all": show_all}
    with ExitStack() as stack:
        paths = {file: stack.enter_context(kept(file)) for file in named.files}
        if dissect is not None:
            from handshake_inspect.cli.dissection import print_dissection

            return print_dissection(paths, dissect) if paths else named.exit_code
        asked = ShowRequest(stream, format_, look, target, trace, step, quiz)
        indexed = from_index(named.files[0], profile, asked) if index and named.files else None
        if indexed is not None:
            return indexed or named.exit_code
        reading = read_for(paths, reader, profile, jobs=jobs, index=index, stack=stack)
        return from_reading(reading, paths, asked) or named.exit_code


def refuse_in_vain(format_: str, given: Mapping[str, bool]) -> None:
    """Raise click.UsageError for options of the ladder that have no effect on a format."""
    why = {
        "json": "it has numbers and times as they were captured",
        "golden": "it leaves out what differs from run to run",
    }
    for option in (one for one, is_given in given.items() if is_given):
        if format_ in why:
            raise click.UsageError(f"{option} does not go with --format {format_}: {why[format_]}")


@dataclass(frozen=True)
class ShowRequest:
    """What to show, and how."""

    stream: int | None
    format_: str
    look: dict[str, object]
    #: Where to save the connection.
    target: str | None
    trace: SocketLog | None
    #: As a lesson, with a score.
    step: bool = False
    quiz: bool = False


def from_index(path: str, profile: str, wanted: ShowRequest) -> int | None:
    """Show a connection from the index of its capture; return the exit code, None if the capture must be read."""
    from handshake_inspect.cli.captures import report
    from handshake_inspect.cli.indexing import open_index, say_useless
    from handshake_inspect.indexed.index import UselessIndex

    index = open_index(path, profile)
    if index is None:
        return None
    with closing(index):
        stream = choose_stream(index.overview, wanted.stream)
        if stream is None:
            return None  # the capture is read to say why
        try:
            connection, steps = index.described(stream)
        except UselessIndex as error:
            say_useless(index.name, str(error))
            return None
        code = print_connection(index.overview, connection, steps, index.located, wanted)
        report(index.overview, udp_lister="read --udp")
        return code


def read_for(
    paths: Mapping[str, str], reader: str, profile: str, *, jobs: int | None, index: bool, stack: ExitStack
) -> FilesRead:
    """Read captures, and note the places of all records; in an index if one is asked for."""
    from handshake_inspect.archive import Archive
    from handshake_inspect.cli.captures import inspect_files
    from handshake_inspect.places import Places

    names = {path: name for name, path in paths.items()}
    making = None
    if index and paths:
        from handshake_inspect.cli.indexing import index_made

        making = stack.enter_context(index_made(next(iter(paths))))
    places = making.places if making else Places(stack.enter_context(Archive()))
    reading = inspect_files(
        [*paths.values()], reader, names=names, profile=profile, jobs=jobs, places=places, meanwhile=_import_drawing
    )
    if making:
        making.reading = reading
    return reading


def _import_drawing() -> None:
    import handshake_inspect.cli.drawing
    import handshake_inspect.views.remarks  # noqa: F401


def from_reading(reading: FilesRead, paths: Mapping[str, str], wanted: ShowRequest) -> int:
    """Show a connection of the captures that were read, or all as golden text; return the exit code."""
    from handshake_inspect.cli.captures import report

    if reading.useless:
        return reading.exit_code
    run = reading.inspection
    if wanted.format_ == "golden" and wanted.stream is None and wanted.target is None and run.connections:
        print_golden(run)
        report(run, udp_lister="read --udp")
        return reading.exit_code
    overview = run.overview
    stream = choose_stream(overview, wanted.stream)
    if stream is None:
        say_not_chosen(run, wanted.stream)
        report(overview, udp_lister="read --udp")
        return 2
    connection, steps = run.described(stream)
    code = print_connection(overview, connection, steps, {**paths, **reading.located}, wanted, run)
    report(overview, udp_lister="read --udp")
    return reading.exit_code or code


def choose_stream(overview: Overview, stream: int | None) -> int | None:
    """Return the stream to show; None if none is chosen and there are several."""
    if stream is not None:
        return stream if stream < overview.connections else None
    return 0 if overview.connections == 1 else None


def say_not_chosen(inspection: Inspection, stream: int | None) -> None:
    """Report why no stream is shown; list the connections if one of them must be chosen."""
    from handshake_inspect.cli.standard_error import remark

    count, captures = len(inspection.connections), inspection.captures
    name = captures[0].name if len(captures) == 1 else f"{len(captures)} captures"
    if count == 0:
        remark(f"Error: {name}: there is no TCP connection in {'it' if len(captures) == 1 else 'them'}")
    elif stream is not None:
        remark(f"Error: {name}: there is no stream {stream}; the last one is {count - 1}")
    else:
        from handshake_inspect.cli.choose import Choice
        from handshake_inspect.cli.listing import write_listing

        write_listing(inspection, Choice(limit=MOST_LISTED), "table")
        listed = f" (the first {MOST_LISTED} are listed)" if count > MOST_LISTED else ""
        remark(f"Error: {name}: {count:,} connections{listed}; choose one with --stream 0 to {count - 1}")


def print_connection(
    overview: Overview,
    connection: Connection,
    steps: tuple[Step, ...],
    captures: Mapping[str, CaptureFile],
    wanted: ShowRequest,
    inspection: Inspection | None = None,
) -> int:
    """Print the connection as a ladder, a picture, JSON or golden text, after saving it if asked for.

    `inspection`: with all connections, which golden text and socket calls look at. Returns the exit code: 2 if it could
    not be saved, which is said at the end.
    """
    from handshake_inspect.capture.records import CaptureError
    from handshake_inspect.cli.drawing import LadderSettings
    from handshake_inspect.cli.output import write
    from handshake_inspect.cli.standard_error import remark
    from handshake_inspect.cli.tracing import beside
    from handshake_inspect.views.address_names import names_of_ends
    from handshake_inspect.views.export import shown

    not_saved = None
    if wanted.target is not None:
        try:
            remark(save(captures, connection.capture, [*steps, *connection.icmp_errors], wanted.target))
        except CaptureError as error:
            not_saved = error
    found, said = None, list[str]()
    if wanted.trace is not None and inspection is not None:
        found, said = beside(wanted.trace, inspection.connections)
    calls = found.calls_of(connection, steps) if found is not None else None
    if wanted.format_ == "json":
        write([shown(connection, steps, calls, payload=bool(wanted.look["payload_octets"]))])
    elif wanted.format_ == "golden" and inspection is not None:
        print_golden(inspection, [connection.stream])
    else:
        view = LadderSettings(**wanted.look)  # type: ignore[arg-type]
        names = names_of_ends(overview, connection)
        print_ladder(connection, steps, captures, view, wanted, names, calls or ())
    for line in said:
        remark(line)
    if not_saved is None:
        return 0
    remark(f"Error: {not_saved}")
    return 2


def print_ladder(
    connection: Connection,
    steps: Sequence[Step],
    captures: Mapping[str, CaptureFile],
    view: LadderSettings,
    wanted: ShowRequest,
    names: Sequence[str],
    calls: Sequence[SocketCall],
) -> None:
    """Print the ladder as text, as a lesson, or as a picture."""
    from handshake_inspect.cli.drawing import draw, picture
    from handshake_inspect.cli.output import write, write_lines

    if wanted.format_ != "text":
        write(picture(connection, steps, view, wanted.format_, paths=captures, names=names, calls=calls))
        return
    parts = draw(connection, steps, view, paths=captures, names=names, calls=calls)
    if not (wanted.step or wanted.quiz):
        write_lines(parts.lines)
        return
    from handshake_inspect.cli.lesson import lesson_for

    lesson = lesson_for(view.options(), quiz=wanted.quiz)
    with lesson.held():
        lesson.walk(connection, steps, parts, calls)


def print_golden(inspection: Inspection, streams: Sequence[int] | None = None) -> None:
    """Print the golden text of all connections, or of these streams."""
    from handshake_inspect.cli.output import write
    from handshake_inspect.views.golden import golden

    write(f"{line.text}\n" for line in golden(inspection, streams))


def save(paths: Mapping[str, CaptureFile], home: str, parts: Sequence[Step | IcmpError], target: str) -> str:
    """Write the frames of a connection, and of the ICMP errors about it, to a file; report what was saved.

    They stand in it as in their capture; those of several by time.
    """
    from handshake_inspect.capture.frames import fetch_parts
    from handshake_inspect.capture.records import CaptureError
    from handshake_inspect.capture.writing.rotation import write_frames
    from handshake_inspect.quantities import counted

    frames = list(fetch_parts(paths, home, {part.frame for part in parts})[0].values())
    if not frames:
        raise CaptureError(f"{home}: the frames of this connection are not in it any more; read it again")
    if any(isinstance(part.frame, tuple) for part in parts):
        frames.sort(key=lambda frame: frame.time_ns)
    count = write_frames(target, frames, ("", frames[0].link_type))
    return f"{target}: {counted(count, 'frame')} saved"
