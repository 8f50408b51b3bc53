"""`handshake-inspect lab`: every way a connection opens and closes, made by real sockets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from handshake_inspect.cli.bounds import Whole
from handshake_inspect.cli.groups import Group
from handshake_inspect.cli.options import ladder_options, lesson_options, write_option


@click.group("lab", cls=Group)
def command() -> None:
    """Make every kind of connection with real sockets: list them, run one, record them.

    Each scenario runs in a private network, as root or as an ordinary user; many have two hosts with a wire between
    them that loses, holds, doubles or reorders segments by rule.

    \b
    Examples:
      handshake-inspect lab list
      handshake-inspect lab run simultaneous-close
      handshake-inspect lab record --all -o pcaps
    """


@command.command("list")
@click.option("--names", "only_names", is_flag=True, help="Only the names, one a line.")
def list_command(only_names: bool) -> int:
    """List the scenarios, each with one sentence of what it shows.

    \b
    Example:
      handshake-inspect lab list
    """
    from handshake_inspect.cli.output import hanging
    from handshake_inspect.lab.scenarios import ALL, CHAPTERS
    from handshake_inspect.lab.scenarios.unix import UNIX

    if only_names:
        click.echo("\n".join(scenario.name for scenario in ALL))
        return 0
    width = max(len(scenario.name) for scenario in ALL)
    for number, chapter in enumerate(CHAPTERS):
        click.echo(f"{chr(10) if number else ''}{chapter.title}")
        for scenario in chapter.scenarios:
            click.echo(hanging(f"  {scenario.name:{width}}  ", scenario.shows))
    click.echo("\nTo be run, not recorded: there is nothing to capture")
    click.echo(hanging(f"  {UNIX.name:{width}}  ", UNIX.shows))
    return 0


@command.command("run")
@click.argument("name")
@click.option("--host", "on_host", is_flag=True, help="On this host's own loopback, instead of a private network.")
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="TEXT",
    help="What the wire between the two does besides, as above; may be repeated.",
)
@click.option("--verify", is_flag=True, help="Lay the kernel's own account beside it; exit 1 if they contradict.")
@click.option("--wait", is_flag=True, help="Then follow the kernel's TIME-WAIT to its end, 60 s, with a countdown.")
@click.option(
    "--at",
    type=click.Choice(["client", "server"]),
    help="Which end of the wire to show; unless given, the one that shows more.",
)
@write_option("Keep the capture: pcap, or pcapng where FILE ends in .pcapng.")
@ladder_options
@lesson_options
def run_command(
    name: str,
    on_host: bool,
    rules: tuple[str, ...],
    verify: bool,
    wait: bool,
    at: str | None,
    target: str | None,
    step: bool,
    quiz: bool,
    **look: Any,
) -> int:
    """Run a scenario and draw the ladder of each of its connections.

    \b
    A rule is ACTION WHICH KIND from END:
      ACTION  drop, delay ... by N ms, duplicate [... after N ms],
              swap (it goes after the next segment of that end)
      WHICH   first, first N, second, third, every: of that kind and end
      KIND    SYN, SYN-ACK, ACK (a bare one), data, FIN, RST, or segment: any of them.
              The third segment of a handshake is the first ACK from client.
              'over N octets' may stand behind it: only those whose IP packet is larger.
      END     client, server
    One that plays a middlebox is CHANGE on WHICH KIND from END:
      CHANGE  set TTL to N, set source to ADDRESS, set destination to ADDRESS, clamp MSS to N,
              strip timestamps, shift seq by N, shift ack by N

    \b
    Examples:
      handshake-inspect lab run simultaneous-close
      handshake-inspect lab run lost-last-ack --at server
      handshake-inspect lab run three-segment --verify
      handshake-inspect lab run simultaneous-close --wait
      handshake-inspect lab run lost-fin --step
      handshake-inspect lab run four-way --rule 'drop first FIN from client'
      handshake-inspect lab run half-close --rule 'delay second data from server by 300 ms'
      handshake-inspect lab run four-way --rule 'clamp MSS to 1200 on every SYN from client' --at server
    """
    from handshake_inspect.cli.performing import RunRequest, perform

    return perform(name, RunRequest(rules, "host" if on_host else "auto", at, target, verify, wait, step, quiz), look)


@command.command("soak")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--times", type=Whole(min=1), default=1, show_default=True, metavar="N", help="Each N times.")
@click.option("-j", "--jobs", type=Whole(min=1), metavar="N", help="At most N at once.")
def soak_command(names: tuple[str, ...], times: int, jobs: int | None) -> int:
    """Run scenarios, many at once, and say of each whether it was as promised; exit 1 if one was not.

    All of them unless named. If some could not be tried, for want of a privilege, and the others were as promised, the
    exit code is 2.

    \b
    Examples:
      handshake-inspect lab soak
      handshake-inspect lab soak simultaneous-close lost-fin --times 20
    """
    from handshake_inspect.cli.performing import try_many
    from handshake_inspect.lab.scenarios import SCENARIOS, scenario_named

    chosen = [scenario_named(name).name for name in names] or list(SCENARIOS)
    return try_many(chosen * times, jobs)


@command.command("record")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Record every scenario.")
@click.option("-j", "--jobs", type=Whole(min=1), metavar="N", help="At most N at once.")
@click.option("--calls", is_flag=True, help="Write NAME.json too, the socket calls, for `demo --replay`; no page.")
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the captures and their page.",
)
def record_command(names: tuple[str, ...], everything: bool, jobs: int | None, calls: bool, folder: Path) -> int:
    """Record scenarios as NAME.pcap each, with a page that says what each shows and what must be found in it.

    \b
    Examples:
      handshake-inspect lab record four-way refused -o captures
      handshake-inspect lab record --all -o pcaps
    """
    from handshake_inspect.lab.record import JOBS, record, record_replay
    from handshake_inspect.lab.scenarios import SCENARIOS, scenario_named

    if bool(names) == everything:
        raise click.UsageError("name the scenarios, or --all for all of them (`lab list` shows them)")
    for name in names:
        scenario_named(name)
    chosen = list(SCENARIOS) if everything else names
    for path in (record_replay(name, folder) for name in chosen) if calls else record(chosen, folder, jobs or JOBS):
        click.echo(str(path))
    return 0
