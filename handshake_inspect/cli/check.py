"""`handshake-inspect check`: is everything as expected? For CI."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from handshake_inspect.cli.options import (
    SelectionOptions,
    file_name,
    files_argument,
    jobs_option,
    profile_option,
    reader_option,
    selection_options,
    writable_option,
)
from handshake_inspect.quantities import listed
from handshake_inspect.there import is_there
from handshake_inspect.views.words import HANDSHAKE_KINDS, TEARDOWN_KINDS, nearest

if TYPE_CHECKING:
    from handshake_inspect.cli.choose import Choice
    from handshake_inspect.expect.expectations import Expectations

SEVERITIES = ("chat", "note", "warn", "error")
FORMATS = ("text", "json", "junit", "github", "tap")


def _kinds(known: tuple[str, ...]) -> Callable[[click.Context, click.Parameter, str | None], tuple[str, ...]]:
    """Return a callback that splits K[,K] and refuses unknown kinds."""

    def split(_ctx: click.Context, _param: click.Parameter, text: str | None) -> tuple[str, ...]:
        kinds = tuple(kind.strip() for kind in text.split(",")) if text is not None else ()
        for kind in kinds:
            if kind not in known:
                hint = nearest(kind, list(known)) or f" Kinds are {listed(known)}."
                raise click.BadParameter(f"{kind!r} is no kind.{hint}")
        return kinds

    return split


@click.command("check")
@files_argument
@click.option(
    "--expect",
    metavar="FILE",
    type=file_name,
    help="What to expect of each capture, in TOML; without it the file beside it: echo.pcap has echo.expect.toml.",
)
@click.option(
    "--golden",
    metavar="FILE",
    type=file_name,
    help="Ladders that each capture must have: FILE is from `show --format golden`.",
)
@click.option("--handshake", metavar="K[,K]", callback=_kinds(HANDSHAKE_KINDS), help="Kinds of opening that are right.")
@click.option("--teardown", metavar="K[,K]", callback=_kinds(TEARDOWN_KINDS), help="Kinds of closing that are right.")
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    help="Fail on findings that matter at least so much.  [with --select: chat]",
)
@click.option("--select", multiple=True, metavar="CODE[,CODE...]", help="Fail on findings of these codes (or reset-*).")
@click.option(
    "--ignore", multiple=True, metavar="CODE[,CODE...]", help="Never fail on findings of these codes, whoever asks."
)
@click.option("--record", is_flag=True, help="Write what each FILE shows beside it, to be expected from now on.")
@click.option("--update", is_flag=True, help="Change what is expected to what each FILE shows; print the difference.")
@click.option("--together", is_flag=True, help="FILE... are one run: parts of one capture, or two places of it.")
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), default="text", show_default=True, help="How to tell the result."
)
@click.option(
    "-o", "--output", metavar="FILE", type=file_name, callback=writable_option,
    help="Write it to FILE, and text to standard output.",
)  # fmt: skip
@selection_options
@profile_option
@reader_option
@jobs_option
def command(
    files: tuple[str, ...],
    expect: str | None,
    golden: str | None,
    handshake: tuple[str, ...],
    teardown: tuple[str, ...],
    fail_on: str | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    record: bool,
    update: bool,
    together: bool,
    format_: str,
    output: str | None,
    asked: SelectionOptions,
    profile: str,
    reader: str,
    jobs: int | None,
) -> int:
    """Check each FILE against what is expected of it; name all that differs, and draw the first ladders.

    What to expect stands in a file beside the capture, or in options, or both. Selections (--port ...) are for what the
    options expect.

    Exit code 0: all is as expected. 1: something is not, or there is nothing to check. 2: a file could not be used.

    \b
    Examples:
      handshake-inspect check --record echo.pcap          (once, when you have looked at it)
      handshake-inspect check echo.pcap
      handshake-inspect check captures/ --fail-on warn --ignore host-scan
      handshake-inspect check echo.pcap --golden echo.golden
      handshake-inspect check echo.pcap --handshake three-way --teardown four-way,three-segment
      handshake-inspect check captures/ --format junit -o report.xml
    """
    from handshake_inspect.cli.checking import Checker
    from handshake_inspect.cli.choose import choice
    from handshake_inspect.cli.naming import files_named
    from handshake_inspect.cli.recording import Recorder
    from handshake_inspect.cli.reporting import Reporting
    from handshake_inspect.cli.wanted import codes_named
    from handshake_inspect.expect.beside import beside

    chosen = choice(asked)
    by_options = options_expect(
        None if record or update else golden, handshake, teardown, fail_on, select, ignore, chosen
    )
    named = files_named(files, is_meant=lambda file: is_there(beside(file)))
    groups = [named.files] if together and named.files else [[file] for file in named.files]
    if record or update:
        if by_options is not None or ignore or (record and update):
            raise click.UsageError(
                "--record writes all that FILE shows, --update changes what is there: each goes alone"
            )
        refuse_reports(format_, output)
        recorder = Recorder(expect, golden, profile, reader, jobs)
        return max(named.exit_code, recorder.record(groups) if record else recorder.update(groups))
    if output == "-":
        raise click.UsageError("-o - would mix the report with the text: without -o it goes to standard output alone")
    ignored = frozenset(codes_named(ignore, "--ignore"))
    reporting = Reporting(format_, output)
    keep_all, ladders = not reporting.is_text_only, reporting.ladders
    checker = Checker(by_options, chosen, expect, ignored, profile, reader, jobs, keep_all, ladders)
    checker.refuse_overwriting(named.files, output)
    checker.refused(named)
    for capture in checker.each(groups):
        reporting.tell(capture)
    reporting.end(checker.run)
    return checker.exit_code


def refuse_reports(format_: str, output: str | None) -> None:
    """Raise click.UsageError if a report is asked for, but nothing is checked."""
    if format_ != "text" or output is not None:
        asked = "--format" if format_ != "text" else "--output"
        raise click.UsageError(f"{asked} tells the result of checks: --record and --update check nothing")


def options_expect(
    golden: str | None,
    handshake: tuple[str, ...],
    teardown: tuple[str, ...],
    fail_on: str | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    chosen: Choice,
) -> Expectations | None:
    """Return the expectations of the options; None if there are none."""
    from handshake_inspect.cli.wanted import wanted
    from handshake_inspect.expect.claims import Claim, HasNoFinding, OneOf
    from handshake_inspect.expect.expectations import Clause, Expect, Expectations
    from handshake_inspect.expect.places import Place

    clauses: list[Clause[Claim]] = []
    of_run: list[Clause[HasNoFinding]] = []
    if handshake:
        clauses.append(Clause("handshake", Place("--handshake"), OneOf("handshake", handshake)))
    if teardown:
        clauses.append(Clause("teardown", Place("--teardown"), OneOf("teardown", teardown)))
    if fail_on or select:
        said = f"none of severity {fail_on} or above" if fail_on else f"no {','.join(select)}"
        codes = wanted(select, ignore, fail_on or "chat").codes
        if not codes:
            raise click.UsageError(
                "no finding is left on which it could fail: --select, --fail-on and --ignore exclude each other"
            )
        claim = HasNoFinding(codes, said)
        place = Place("--fail-on" if fail_on else "--select")
        clauses.append(Clause("no_findings", place, claim))
        of_run.append(Clause("no_findings", place, claim))
    ladders = (Place("--golden"), golden) if golden is not None else None
    if not clauses and chosen.said:
        message = f"{chosen.said} selects for --handshake, --teardown, --fail-on or --select: give one of them"
        raise click.UsageError(message)
    if not clauses and ladders is None:
        return None
    tables = (Expect(clauses[0].place, chosen, clauses=tuple(clauses)),) if clauses else ()
    return Expectations("the command line", no_findings_of_run=tuple(of_run), golden=ladders, expect=tables)
