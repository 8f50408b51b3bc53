"""`handshake-inspect timewait`: the kernel's TIME-WAIT entries of this host, and who may bind beside them."""

from __future__ import annotations

import click

from handshake_inspect.cli.bounds import PORT, Seconds, Whole
from handshake_inspect.cli.groups import Group


@click.group("timewait", cls=Group)
def command() -> None:
    """Time TIME-WAIT against the kernel's own timer: list it, watch it end, try to bind beside it.

    None of these needs a privilege. What a capture predicts is timed by `demo --wait`.

    \b
    Examples:
      handshake-inspect timewait list
      handshake-inspect timewait watch --port 8000
      handshake-inspect timewait bind
    """


@command.command("list")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people, or for programs.",
)
@click.option(
    "--limit", type=Whole(min=1), default=20, show_default=True, metavar="N", help="Show the N largest groups."
)
def list_command(format_: str, limit: int) -> int:
    """List who on this host holds how many TIME-WAIT entries, towards whom, and until when.

    A client's entry takes a port of the ephemeral range away, for one remote socket; a server's takes none.

    \b
    Examples:
      handshake-inspect timewait list
      handshake-inspect timewait list --format json
    """
    from handshake_inspect.cli.timewait_census import print_census
    from handshake_inspect.lab.time_wait.census import take_census
    from handshake_inspect.lab.time_wait.wheel import this_wheel

    refuse_other_systems()
    print_census(take_census(this_wheel()), format_, limit)
    return 0


@command.command("watch")
@click.option(
    "--port", "ports", metavar="PORT", type=PORT, multiple=True,
    help="Only entries with an end at this port; may be repeated.",
)  # fmt: skip
@click.option(
    "--host", "hosts", metavar="IP", multiple=True, help="Only entries with an end at this address; may be repeated."
)
@click.option("--count", type=Whole(min=1), metavar="N", help="End when N entries have ended.")
@click.option("--duration", type=Seconds(min=0, min_open=True), metavar="S", help="End after S seconds.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "ndjson"]),
    default="text",
    show_default=True,
    help="For people, or an object a line for programs.",
)
def watch_command(
    ports: tuple[int, ...], hosts: tuple[str, ...], count: int | None, duration: float | None, format_: str
) -> int:
    """Follow the TIME-WAIT entries of this host: a line when one begins, restarts, reaches 0, and is gone.

    Ends at Ctrl-C, or as --count and --duration say, with a summary: how they ended, and how long beyond 60 s they
    were there.

    \b
    Examples:
      handshake-inspect timewait watch
      handshake-inspect timewait watch --port 8000 --count 1
      handshake-inspect timewait watch --duration 120 --format ndjson
    """
    from handshake_inspect.cli.timewait_watch import watch
    from handshake_inspect.lab.time_wait.observing import Filter

    refuse_other_systems()
    return watch(Filter(ports, tuple(map(address, hosts))), count, duration, format_)


@command.command("bind")
def bind_command() -> int:
    """Try with real sockets who may bind and connect beside TIME-WAIT, and who is refused.

    Runs in private networks and takes a few seconds. Every row is tried anew.

    \b
    Example:
      handshake-inspect timewait bind
    """
    from handshake_inspect.cli.timewait_bind import print_attempts
    from handshake_inspect.lab.time_wait.binding import attempts

    refuse_other_systems()
    print_attempts(attempts())
    return 0


def address(text: str) -> str:
    """Return an IP address as the kernel's entries show it: an IPv4-mapped IPv6 address as IPv4."""
    from ipaddress import ip_address

    try:
        found = ip_address(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no IP address", param_hint="'--host'") from error
    return str(getattr(found, "ipv4_mapped", None) or found)


def refuse_other_systems() -> None:
    """Raise LabError on systems without sock_diag."""
    import sys

    from handshake_inspect.lab.world import LabError

    if not sys.platform.startswith("linux"):
        raise LabError(
            f"the kernel's TIME-WAIT entries are read by sock_diag, which needs Linux: this is {sys.platform}"
        )
