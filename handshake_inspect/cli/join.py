"""`handshake-inspect join`: the same connections captured at both ends, and what the path between did to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from handshake_inspect.cli.bounds import PORT, OneStream
from handshake_inspect.cli.options import file_name, jobs_option, once, reader_option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from handshake_inspect.cli.captures import FilesRead
    from handshake_inspect.conditions.selection import Selection
    from handshake_inspect.joined.join import Joined
    from handshake_inspect.joined.model import JoinedConnection, Moment
    from handshake_inspect.views.ladder import Numbers


@click.command("join")
@click.argument("client", metavar="CLIENT", type=file_name)
@click.argument("server", metavar="SERVER", type=file_name)
@click.option(
    "-s", "--stream", metavar="N", type=OneStream("join once for each"), multiple=True,
    callback=once("join once for each"), help="Which connection, by its number in the table.",
)  # fmt: skip
@click.option(
    "--host", metavar="IP[/LEN]", multiple=True, callback=once("join once for each, or name a network"),
    help="Only connections of this address or network.",
)  # fmt: skip
@click.option(
    "--port", metavar="PORT", type=PORT, multiple=True, callback=once("join once for each"),
    help="Only connections of this port.",
)  # fmt: skip
@click.option("--format", "format_", type=click.Choice(["text", "json", "ndjson"]), default="text", show_default=True)
@click.option(
    "--numbers",
    type=click.Choice(["symbolic", "relative", "absolute"]),
    default="symbolic",
    show_default=True,
    help="Sequence numbers as letters, counted from the SYN, or as in the header.",
)
@click.option("--all", "show_all", is_flag=True, help="Show every segment; do not fold long transfers.")
@click.option("--same-clock", is_flag=True, help="One clock stamped both captures: delays are exact.")
@reader_option
@jobs_option
def command(
    client: str,
    server: str,
    stream: int | None,
    host: str | None,
    port: int | None,
    format_: str,
    numbers: Numbers,
    show_all: bool,
    same_clock: bool,
    reader: str,
    jobs: int | None,
) -> int:
    """Join captures of the same connections from both ends: CLIENT near one end, SERVER near the other.

    Says which segments died on the way, which were copied or overtaken, what was changed (addresses, initial numbers,
    options, TTL ...), how far the two clocks are apart, and how long segments were under way. Lists the connections;
    of a single one, or of --stream, the ladder is drawn with the way between the two places.

    \b
    Examples:
      handshake-inspect join client.pcap server.pcap
      handshake-inspect join client.pcap server.pcap --stream 3
      handshake-inspect join client.pcap server.pcap --port 443 --format ndjson
    """
    from handshake_inspect.cli.captures import inspect_files, report
    from handshake_inspect.cli.choose import choice
    from handshake_inspect.cli.options import SelectionOptions
    from handshake_inspect.cli.standard_error import remark
    from handshake_inspect.views.joined_remarks import joined_remarks

    if client == server:
        raise click.UsageError(f"{client} is named twice: give the capture of each end")
    selection = choice(SelectionOptions(host=host, port=port)).selection
    readings = [inspect_files([file], reader, fold=False, jobs=jobs) for file in (client, server)]
    code = max(reading.exit_code for reading in readings)
    if code:
        return code
    joined = joined_of(readings, same_clock=same_clock)
    if not joined.pairs:
        remark(f"Error: no connection of {client} was found in {server}: {why_unrelated(joined)}")
        return 2
    numbers_chosen = choose(joined, selection, stream)
    if numbers_chosen is None:
        return 2
    if format_ != "text":
        write_objects(joined, numbers_chosen, format_, with_segments=stream is not None or len(numbers_chosen) == 1)
    elif len(numbers_chosen) == 1:
        draw(joined, int(numbers_chosen[0]), numbers, show_all=show_all)
    else:
        write_connections(joined, numbers_chosen)
    for line in joined_remarks(joined):
        remark(line)
    for reading in readings:
        report(reading.inspection, udp_lister="read --udp", findings_listed=True)
    return 0


def joined_of(readings: Sequence[FilesRead], *, same_clock: bool) -> Joined:
    """Join two captures. Raises CaptureError if `--same-clock` is given, and they cannot have the same clock."""
    from handshake_inspect.capture.records import CaptureError
    from handshake_inspect.joined.comparison import NotOneClockError, compare
    from handshake_inspect.joined.join import Joined

    first, second = (reading.inspection for reading in readings)
    try:
        return Joined(compare(first, second, same_clock=same_clock))
    except NotOneClockError as error:
        raise CaptureError(f"--same-clock: {error}") from None


def why_unrelated(joined: Joined) -> str:
    """Return why two captures may have nothing in common."""
    from handshake_inspect.quantities import listed

    empty = [one.captures[0].name for one in joined.inspections if not len(one.connections)]
    if empty:
        return f"there is no TCP connection in {listed(empty)}"
    return "they are of different traffic, or of different times"


def choose(joined: Joined, selection: Selection, stream: int | None) -> NDArray[np.int64] | None:
    """Return the connections to show; None if there is none, after the reason was printed."""
    import numpy as np

    from handshake_inspect.cli.standard_error import remark
    from handshake_inspect.quantities import counted, listed

    if stream is not None and stream >= len(joined):
        count = len(joined)
        remark(f"Error: there is no connection {stream}" + (f"; the last one is {count - 1}" if count else ""))
        return None
    chosen = joined.numbers(*(selection.of(inspection) for inspection in joined.inspections))
    if not len(chosen):
        given = [name for name, value in (("--host", selection.host), ("--port", selection.port)) if value is not None]
        remark(f"Error: none of {counted(len(joined), 'connection')} in the two captures is of that {listed(given)}")
        return None
    return chosen if stream is None else np.array([stream])


def write_objects(joined: Joined, numbers: NDArray[np.int64], format_: str, *, with_segments: bool) -> None:
    """Write connections for other programs; with their segments if a stream was chosen."""
    from handshake_inspect.cli.output import write
    from handshake_inspect.views.joined_export import joined_document, joined_lines

    def moments_of(connection: JoinedConnection) -> Sequence[Moment]:
        return joined.moments(connection.number)

    connections, moments = joined.of(numbers), moments_of if with_segments else None
    write(joined_document(joined, connections, moments) if format_ == "json" else joined_lines(connections, moments))


def write_connections(joined: Joined, numbers: NDArray[np.int64]) -> None:
    """Write a line for each connection, and the summary."""
    from handshake_inspect.cli.output import DEFAULT_WIDTH, terminal_width, write, write_fitted, write_lines
    from handshake_inspect.views.joined_summary import joined_summary
    from handshake_inspect.views.joined_table import joined_columns
    from handshake_inspect.views.table import layout

    write_fitted([layout(joined.of(numbers), joined_columns(), terminal_width())])
    write(["\n"])
    write_lines(joined_summary(joined, numbers, terminal_width() or DEFAULT_WIDTH))


def draw(joined: Joined, number: int, numbers: Numbers, *, show_all: bool) -> None:
    """Draw the ladder of one connection, with the path between the two places."""
    from handshake_inspect.cli.drawing import LadderSettings
    from handshake_inspect.cli.output import write_lines
    from handshake_inspect.views.joined_ladder import joined_ladder

    options = LadderSettings(numbers=numbers, payload_octets=0, show_all=show_all).options()
    write_lines(joined_ladder(joined[number], joined.moments(number), options))
