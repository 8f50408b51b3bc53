"""`handshake-inspect read`: one line per connection."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from importlib.util import find_spec

import click

from handshake_inspect.cli.bounds import Whole
from handshake_inspect.cli.options import (
    FORMATS,
    SelectionOptions,
    dask_option,
    files_argument,
    index_option,
    jobs_option,
    ports_option,
    profile_option,
    reader_option,
    selection_options,
)


@click.command("read")
@files_argument
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True)
@selection_options
@click.option(
    "--sort", metavar="FIELD", help="Order by a field of the JSON or by duration; -FIELD puts the largest first."
)
@click.option(
    "--keep", type=Whole(min=0), metavar="N",
    help="Of csv, ndjson, zeek: hold N connections; the others are written once they are over. Of a pipe 1,000,000.",
)  # fmt: skip
@click.option("--limit", type=Whole(min=0), metavar="N", help="Show at most N connections, or TIME-WAITs.")
@click.option("--udp", is_flag=True, help="List UDP exchanges too.")
@click.option("--steps", is_flag=True, help="With json and ndjson: every segment, with states and arithmetic.")
@click.option("--time-wait", "time_wait", is_flag=True, help="List who owes TIME-WAIT instead, and what it comes to.")
@index_option
@profile_option
@ports_option
@reader_option
@jobs_option
@dask_option
def command(
    files: tuple[str, ...],
    format_: str,
    asked: SelectionOptions,
    sort: str | None,
    keep: int | None,
    limit: int | None,
    udp: bool,
    steps: bool,
    time_wait: bool,
    index: bool,
    profile: str,
    ports: tuple[int, int] | None,
    reader: str,
    jobs: int | None,
    dask: str | None,
) -> int:
    """List every connection of FILE...: how it opened, how it closed, who closed first.

    FILE is a pcap, pcapng or snoop capture, compressed or not; - is standard input, ./- a file of that name; a folder
    means the captures in it, a pattern ('logs/**/*.pcap') those that it matches; names with :// are opened by fsspec.
    Several files are one run.

    \b
    Examples:
      handshake-inspect read capture.pcap
      handshake-inspect read capture.pcap --where 'teardown.kind == "aborted"' --sort -octets.responder
      handshake-inspect read capture.pcap --where 'handshake.initial_rtt_ns > 10ms and not resets'
      handshake-inspect read capture.pcap --net 10.0.0.0/8 --since 06:40:30 --until +2min
      handshake-inspect read *.pcap --format csv --jobs 4 > connections.csv
      handshake-inspect read *.pcap --format parquet > connections.parquet
      handshake-inspect read big.pcap --index
      handshake-inspect read capture.pcap --time-wait --profile macos --ports 49152-65535
      handshake-inspect read day/ 'night/*.pcap.gz' --format zeek > conn.log
      handshake-inspect read day/ --format csv --dask tcp://scheduler:8786 > connections.csv
      tcpdump -w - | handshake-inspect read -
      tcpdump -w - | handshake-inspect read - --format ndjson --keep 0
    """
    from handshake_inspect.cli.captures import inspect_files, report
    from handshake_inspect.cli.choose import choice
    from handshake_inspect.cli.naming import files_named
    from handshake_inspect.cli.outflow import outflow
    from handshake_inspect.cli.standard_error import remark

    if steps and format_ not in ("json", "ndjson"):
        raise click.UsageError("--steps needs --format json or ndjson")
    if udp and format_ in ("csv", "parquet"):
        raise click.UsageError(f"--udp needs another format than {format_}: its columns are those of connections")
    if time_wait and (udp or steps or format_ in ("zeek", "parquet")):
        refused = "--udp" if udp else "--steps" if steps else f"--format {format_}"
        raise click.UsageError(f"--time-wait and {refused} do not go together: it lists TIME-WAITs, no connections")
    if ports is not None and not time_wait:
        raise click.UsageError("--ports needs --time-wait")
    if format_ == "parquet":
        _refuse_where_parquet_cannot_be_written()
    chosen = choice(asked, sort, limit)
    named = files_named(files)
    all_held = {"--udp": udp, "--steps": steps, "--time-wait": time_wait, "--index": index, "--dask": dask}
    flow = outflow(keep, named.files, chosen, format_, profile, **all_held)
    with ExitStack() as stack:
        making = None
        if index:
            from handshake_inspect.cli.indexing import has_index, index_made, refuse_index

            refuse_index(named.files, reader, **{"--dask": dask})
            if named.files and not has_index(named.files[0], profile):
                making = stack.enter_context(index_made(named.files[0]))
        if dask is None:
            places = making.places if making else None
            asks_again = steps or index
            reading = inspect_files(
                named.files, reader, profile=profile, jobs=jobs, places=places, outflow=flow, with_segments=asks_again,
                meanwhile=_import_listing,
            )  # fmt: skip
        else:
            from handshake_inspect.cli.spreading import inspect_on_cluster

            reading = inspect_on_cluster(dask, named.files, reader, profile=profile, workers=jobs)
        if making:
            making.reading = reading
        if reading.useless:
            return reading.exit_code or named.exit_code
        if time_wait:  # each for itself: a list does not pay for what a ledger needs
            from handshake_inspect.cli.ledger import write_ledger

            write_ledger(reading.inspection, chosen, format_, ports)
        else:
            from handshake_inspect.cli.listing import write_listing

            has_begun = flow is not None and flow.has_begun
            write_listing(reading.inspection, chosen, format_, udp=udp, steps=steps, has_begun=has_begun)
        if chosen.beyond_limit:
            remark(f"--limit {limit}: {chosen.beyond_limit:,} more not shown")
        # Of a selection the run as a whole is not told, nor where the document has it.
        told = asked != SelectionOptions() or format_ == "json"
        report(
            reading.inspection,
            udp_listed=udp or format_ == "json",
            findings_listed=told,
            interrupted=reading.interrupted,
        )
        return reading.exit_code or named.exit_code or chosen.absent_streams(reading.inspection)


def _import_listing() -> None:
    import handshake_inspect.cli.listing
    import handshake_inspect.views.remarks  # noqa: F401


def _refuse_where_parquet_cannot_be_written() -> None:
    if find_spec("pyarrow") is None:
        raise click.UsageError("--format parquet needs pyarrow: pip install 'handshake-inspect[parquet]'")
    if sys.stdout.isatty():
        raise click.UsageError("--format parquet is nothing for a terminal: add > connections.parquet")
