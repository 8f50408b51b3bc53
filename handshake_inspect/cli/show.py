"""`handshake-inspect show`: the ladder of one connection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handshake_inspect.cli.options import ladder_options, reader_option

if TYPE_CHECKING:
    from handshake_inspect.cli.captures import Reading
    from handshake_inspect.connections.connection import IcmpError, Step


@click.command("show")
@click.argument("file", metavar="FILE")
@click.option("-s", "--stream", type=click.IntRange(min=0), help="Which connection, by its number in `read`.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@ladder_options
@click.option(
    "--dissect", type=click.IntRange(min=1), metavar="N", help="Print frame N in full (Scapy) and nothing else."
)
@click.option("-w", "--write", "target", metavar="FILE", help="Save just this connection as a pcap file.")
@reader_option
def command(
    file: str,
    stream: int | None,
    format_: str,
    numbers: str,
    clock: str,
    payload_octets: int,
    show_all: bool,
    dissect: int | None,
    target: str | None,
    reader: str,
) -> int:
    """Draw the ladder of one connection of FILE: every segment, both states after it, and the proof.

    Without --stream the capture must hold one connection; if it holds more they are listed.

    \b
    Examples:
      handshake-inspect show capture.pcap
      handshake-inspect show capture.pcap --stream 3 --numbers absolute --time utc
      handshake-inspect show capture.pcap -s 3 -w one.pcap
      handshake-inspect show capture.pcap -s 3 --dissect 12
      handshake-inspect show capture.pcap -s 3 --format json
    """
    from handshake_inspect.cli.captures import kept, report
    from handshake_inspect.cli.naming import one_file_named

    file = one_file_named(file)
    if target is not None and same_file(file, target):
        raise click.BadParameter(f"{target} is the capture that is read: choose another name", param_hint="--write")
    with kept(file) as path:
        if dissect is not None:
            return print_dissection(path, dissect, name=file)
        reading = read_one(path, file, reader)
        if reading.useless:
            return reading.exit_code
        chosen = choose_stream(reading, stream)
        if chosen is None:
            report(reading.inspection, udp_lister="read --udp")
            return 2
        steps = reading.inspection.steps(chosen)
        if target is not None:
            save(path, [*steps, *reading.inspection.connections[chosen].icmp_errors], target)
        look = {"numbers": numbers, "clock": clock, "payload_octets": payload_octets, "show_all": show_all}
        print_connection(reading, chosen, steps, format_, path, look)
        report(reading.inspection, udp_lister="read --udp")
        return reading.exit_code


def same_file(file: str, target: str) -> bool:
    """Are both names one file? Then writing the one would destroy the other."""
    try:
        return Path(file).samefile(target)
    except OSError:
        return False


def read_one(path: str, name: str, reader: str) -> Reading:
    """Inspect the capture at `path`, which the user named `name`."""
    from handshake_inspect.cli.captures import inspect_files

    return inspect_files([path], reader, names={path: name})


def choose_stream(reading: Reading, stream: int | None) -> int | None:
    """Return which stream to show; None, with the reason printed, if that cannot be told."""
    from handshake_inspect.cli.output import remark

    count = len(reading.inspection.connections)
    if stream is not None and stream < count:
        return stream
    if stream is None and count == 1:
        return 0
    name = reading.inspection.captures[0].name
    if count == 0:
        remark(f"Error: {name}: there is no TCP connection in it")
    elif stream is not None:
        remark(f"Error: {name}: there is no stream {stream}; the last one is {count - 1}")
    else:
        from handshake_inspect.cli.choose import Choice
        from handshake_inspect.cli.listing import write_listing

        write_listing(reading.inspection, Choice(), "table")
        remark(f"Error: {name}: {count} connections; choose one with --stream 0 to {count - 1}")
    return None


def print_connection(
    reading: Reading, stream: int, steps: tuple[Step, ...], format_: str, path: str, look: dict[str, object]
) -> None:
    """Print the connection as a ladder or as JSON."""
    from handshake_inspect.cli.drawing import Look, draw, names_of_ends
    from handshake_inspect.cli.output import write, write_lines
    from handshake_inspect.views.export import ndjson

    connection = reading.inspection.connections[stream]
    if format_ == "json":
        write(ndjson([connection], lambda _: steps))
    else:
        names = names_of_ends(reading.inspection, connection)
        write_lines(draw(connection, steps, Look(**look), path=path, names=names))  # type: ignore[arg-type]


def print_dissection(path: str, number: int, *, name: str) -> int:
    """Print one frame, with every field that Scapy knows, of the capture at `path`, which the user named `name`."""
    from handshake_inspect.capture.files import open_capture
    from handshake_inspect.capture.frames import fetch
    from handshake_inspect.capture.records import CaptureError
    from handshake_inspect.cli.dissection import dissection
    from handshake_inspect.cli.output import write
    from handshake_inspect.views.words import counted

    frame = fetch(path, [number]).get(number)
    if frame is None:
        with open_capture(path, name=name) as opened:
            frames = sum(len(block) for block in opened)
        raise CaptureError(f"{name}: there is no frame {number}: it has {counted(frames, 'frame')}")
    write([dissection(frame)])
    return 0


def save(path: str, parts: Sequence[Step | IcmpError], target: str) -> None:
    """Write the frames of a connection, and of the ICMP errors about it, to a file of their own."""
    from handshake_inspect.capture.frames import fetch_whole, write_pcap
    from handshake_inspect.cli.output import remark
    from handshake_inspect.views.words import counted

    numbers = [part.frame for part in parts if isinstance(part.frame, int)]
    frames = [frame for _, frame in sorted(fetch_whole(path, numbers)[0].items())]
    count = write_pcap(target, frames, frames[0].link_type)
    remark(f"{target}: {counted(count, 'frame')} saved")
