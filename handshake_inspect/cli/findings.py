"""`handshake-inspect findings`: what an expert would notice."""

from __future__ import annotations

from functools import cache

import click

from handshake_inspect.cli.options import (
    SelectionOptions,
    files_argument,
    jobs_option,
    profile_option,
    reader_option,
    selection_options,
)
from handshake_inspect.cli.wanted import WantedCodes, wanted, wanted_options


@click.command("findings")
@files_argument
@click.option("-v", "--verbose", is_flag=True, help="List every finding, connection by connection.")
@wanted_options
@click.option(
    "--format", "format_", type=click.Choice(["text", "json", "ndjson", "csv"]), default="text", show_default=True
)
@selection_options
@profile_option
@reader_option
@jobs_option
def command(
    files: tuple[str, ...],
    verbose: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    severity: str,
    format_: str,
    asked: SelectionOptions,
    profile: str,
    reader: str,
    jobs: int | None,
) -> int:
    """Say what an expert would notice about the connections of FILE...: grouped and counted, the worst first.

    `handshake-inspect explain CODE` says what a finding means, when it is reported and when not.

    \b
    Examples:
      handshake-inspect findings capture.pcap
      handshake-inspect findings capture.pcap -v --stream 3
      handshake-inspect findings capture.pcap --severity warn --ignore time-wait-killed
      handshake-inspect findings day/*.pcap.gz --select 'reset-*,syn-flood' --format ndjson
    """
    from handshake_inspect.cli.captures import inspect_files, report
    from handshake_inspect.cli.choose import choice
    from handshake_inspect.cli.naming import files_named

    chosen = choice(asked)
    named = files_named(files)

    @cache
    def those() -> WantedCodes:
        import handshake_inspect.cli.finding_listing  # noqa: F401

        return wanted(select, ignore, severity)

    reading = inspect_files(named.files, reader, profile=profile, jobs=jobs, meanwhile=those)
    if reading.useless:
        return reading.exit_code or named.exit_code
    from handshake_inspect.cli.finding_listing import write_findings

    write_findings(reading.inspection, chosen, those(), format_, verbose=verbose)
    report(reading.inspection, udp_lister="read --udp", findings_listed=True, interrupted=reading.interrupted)
    return reading.exit_code or named.exit_code or chosen.absent_streams(reading.inspection)
