"""`handshake-inspect show`: the ladder of one connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from handshake_inspect.cli.options import files_argument, jobs_option, ladder_options, profile_option, reader_option

if TYPE_CHECKING:
    from handshake_inspect.capture.frames import CaptureFile
    from handshake_inspect.cli.captures import Reading
    from handshake_inspect.connections.connection import Connection, IcmpError, Step
    from handshake_inspect.inspection import Inspection
    from handshake_inspect.lab.calls import SocketCall


@click.command("show")
@files_argument
@click.option("-s", "--stream", type=click.IntRange(min=0), help="Which connection, by its number in `read`.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "golden"]),
    default="text",
    show_default=True,
    help="golden: text for a repository, of all connections, without what differs from run to run.",
)
@ladder_options
@click.option(
    "--dissect", type=click.IntRange(min=1), metavar="N", help="Print frame N in full (Scapy) and nothing else."
)
@click.option("-w", "--write", "target", metavar="FILE", help="Save just this connection as a pcap file.")
@profile_option
@click.option(
    "--strace",
    "log",
    metavar="LOG",
    type=click.Path(),
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
    dissect: int | None,
    target: str | None,
    profile: str,
    log: str | None,
    reader: str,
    jobs: int | None,
) -> int:
    """Draw the ladder of one connection of FILE...: every segment, both states after it, and the proof.

    Without --stream the captures must hold one connection; if they hold more these are listed. Several files are one
    run, as in `read`: the numbers of connections are the same.

    --format golden prints all connections unless --stream names one, without times, addresses, ports and absolute
    numbers: the same programs give the same text again.

    \b
    Examples:
      handshake-inspect show capture.pcap
      handshake-inspect show capture.pcap --stream 3 --numbers absolute --time utc
      handshake-inspect show capture.pcap -s 3 -w one.pcap
      handshake-inspect show capture.pcap -s 3 --dissect 12
      handshake-inspect show capture.pcap -s 3 --strace client.log
      handshake-inspect show client-side.pcap server-side.pcap -s 3 --format json
      handshake-inspect show echo.pcap --format golden > echo.golden
    """
    from handshake_inspect.archive import Archive
    from handshake_inspect.capture.records import CaptureError
    from handshake_inspect.cli.captures import inspect_files, kept, report
    from handshake_inspect.cli.naming import files_named, refuse_overwriting
    from handshake_inspect.cli.output import remark
    from handshake_inspect.cli.tracing import beside
    from handshake_inspect.lab.strace.log import read_log
    from handshake_inspect.places import Places

    named = files_named(files)
    refuse_overwriting(named.files, target, "--write")
    trace = read_log(log) if log is not None else None
    if dissect is not None and len(named.files) > 1:
        raise CaptureError(f"--dissect {dissect}: {len(named.files)} files have such a frame; name one of them")
    with ExitStack() as stack:
        paths = {file: stack.enter_context(kept(file)) for file in named.files}
        if dissect is not None:
            return print_dissection(paths, dissect) if paths else named.exit_code
        names = {path: name for name, path in paths.items()}
        places = Places(stack.enter_context(Archive()))
        reading = inspect_files([*paths.values()], reader, names=names, profile=profile, jobs=jobs, places=places)
        if reading.useless:
            return reading.exit_code or named.exit_code
        if format_ == "golden" and stream is None and target is None and reading.inspection.connections:
            print_golden(reading.inspection)
            report(reading.inspection, udp_lister="read --udp")
            return reading.exit_code or named.exit_code
        chosen = choose_stream(reading, stream)
        if chosen is None:
            report(reading.inspection, udp_lister="read --udp")
            return 2
        captures: dict[str, CaptureFile] = {**paths, **reading.located}
        steps = reading.inspection.steps(chosen)
        connection = reading.inspection.connections[chosen]
        if target is not None:
            save(captures, connection.capture, [*steps, *connection.icmp_errors], target)
        look = {"numbers": numbers, "clock": clock, "payload_octets": payload_octets, "show_all": show_all}
        found, said = beside(trace, reading.inspection.connections) if trace is not None else (None, [])
        calls = found.calls_of(connection, steps) if found is not None else None
        print_connection(reading, connection, steps, format_, captures, look, calls)
        for line in said:
            remark(line)
        report(reading.inspection, udp_lister="read --udp")
        return reading.exit_code or named.exit_code


def choose_stream(reading: Reading, stream: int | None) -> int | None:
    """Return which stream to show; None, with the reason printed, if that cannot be told."""
    from handshake_inspect.cli.output import remark

    count = len(reading.inspection.connections)
    if stream is not None and stream < count:
        return stream
    if stream is None and count == 1:
        return 0
    captures = reading.inspection.captures
    name = captures[0].name if len(captures) == 1 else f"{len(captures)} captures"
    if count == 0:
        remark(f"Error: {name}: there is no TCP connection in {'it' if len(captures) == 1 else 'them'}")
    elif stream is not None:
        remark(f"Error: {name}: there is no stream {stream}; the last one is {count - 1}")
    else:
        from handshake_inspect.cli.choose import Choice
        from handshake_inspect.cli.listing import write_listing

        write_listing(reading.inspection, Choice(), "table")
        remark(f"Error: {name}: {count} connections; choose one with --stream 0 to {count - 1}")
    return None


def print_connection(
    reading: Reading,
    connection: Connection,
    steps: tuple[Step, ...],
    format_: str,
    paths: Mapping[str, CaptureFile],
    look: dict[str, object],
    calls: Sequence[SocketCall] | None,
) -> None:
    """Print the connection as a ladder, as JSON or as golden text."""
    from handshake_inspect.cli.drawing import Look, draw, names_of_ends
    from handshake_inspect.cli.output import write, write_lines
    from handshake_inspect.views.export import shown

    if format_ == "json":
        write([shown(connection, steps, calls)])
    elif format_ == "golden":
        print_golden(reading.inspection, [connection.stream])
    else:
        names = names_of_ends(reading.inspection, connection)
        view = Look(**look)  # type: ignore[arg-type]
        write_lines(draw(connection, steps, view, paths=paths, names=names, calls=calls or ()))


def print_golden(inspection: Inspection, streams: Sequence[int] | None = None) -> None:
    """Print the golden text of all connections, or of these streams."""
    from handshake_inspect.cli.output import write
    from handshake_inspect.views.golden import golden

    write(f"{line.text}\n" for line in golden(inspection, streams))


def print_dissection(paths: Mapping[str, str], number: int) -> int:
    """Print one frame, with every field that Scapy knows, of the only capture."""
    from handshake_inspect.capture.files import open_capture
    from handshake_inspect.capture.frames import fetch
    from handshake_inspect.capture.records import CaptureError
    from handshake_inspect.cli.dissection import dissection
    from handshake_inspect.cli.output import write
    from handshake_inspect.quantities import counted

    ((name, path),) = paths.items()
    frame = fetch(path, [number]).get(number)
    if frame is None:
        with open_capture(path, name=name) as opened:
            frames = sum(len(block) for block in opened)
        raise CaptureError(f"{name}: there is no frame {number}: it has {counted(frames, 'frame')}")
    write([dissection(frame)])
    return 0


def save(paths: Mapping[str, CaptureFile], home: str, parts: Sequence[Step | IcmpError], target: str) -> None:
    """Write the frames of a connection, and of the ICMP errors about it, to a file of their own.

    They stand in it as in their capture; those of several by time.
    """
    from handshake_inspect.capture.frames import fetch_parts
    from handshake_inspect.capture.writing.pcap import write_pcap
    from handshake_inspect.cli.output import remark
    from handshake_inspect.quantities import counted

    frames = list(fetch_parts(paths, home, {part.frame for part in parts})[0].values())
    if any(isinstance(part.frame, tuple) for part in parts):
        frames.sort(key=lambda frame: frame.time_ns)
    count = write_pcap(target, frames, frames[0].link_type)
    remark(f"{target}: {counted(count, 'frame')} saved")
