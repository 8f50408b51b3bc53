"""`handshake-inspect echo`: the programs of the tutorials, to be used by hand in two terminals, or by a script."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from handshake_inspect.cli.bounds import PORT, Seconds, Whole
from handshake_inspect.cli.echo_chat import chat
from handshake_inspect.cli.groups import Group

if TYPE_CHECKING:
    from handshake_inspect.lab.by_hand.echo_plans import ClientPlan, EchoAddress, ServerPlan
    from handshake_inspect.lab.by_hand.echo_server import Tally

F = TypeVar("F", bound=Callable[..., Any])

#: Options that say nothing to a transport, and why.
ONLY_STREAMS = {"backlog", "one_at_a_time", "close_first", "close_second", "half_close", "linger"}
WITHOUT_MEANING = {
    "udp": (ONLY_STREAMS, "UDP has no connection: nothing is accepted, and nothing is closed"),
    "unix": ({"host", "port", "ipv6", "source_port", "linger"}, "a Unix socket has neither address nor port nor RST"),
}
INVITATIONS = {
    "tcp": "in another terminal: handshake-inspect echo connect {0}",
    "udp": "in another terminal: handshake-inspect echo connect --udp {0}",
    "unix": "in another terminal: handshake-inspect echo connect --unix {0}\n"
    "nothing of this goes over any wire: no IP, no segments, nothing to sniff;\n"
    "the kernel copies from one socket's queue to the other's: ss -xp shows both",
}


def shared_options(*, half_close: str) -> Callable[[F], F]:
    """Add the options of both programs, with this help for --half-close."""

    def add(function: F) -> F:
        for option in options_of_both(half_close):
            function = option(function)
        return function

    return add


def options_of_both(half_close: str) -> Iterable[Callable[[F], F]]:
    """Return the options of both programs, the last one first."""
    return (
        click.option("-q", "--quiet", is_flag=True, help="Do not print the socket calls."),
        click.option("--delay", "delay_s", type=Seconds(0, 3600), default=0.0, metavar="SECONDS",
                     help="Wait before each message or answer, and before a close."),
        click.option("--linger", type=click.Choice(["0"]), help="Close with SO_LINGER 0: an RST instead of a FIN."),
        click.option("--half-close", is_flag=True, help=half_close),
        click.option("--unix", "path", metavar="PATH", help="Over a Unix socket with this path."),
        click.option("--udp", is_flag=True, help="Over UDP instead of TCP."),
    )  # fmt: skip


@click.group("echo", cls=Group)
def command() -> None:
    """Serve and connect by hand: the echo programs of the tutorials, and a chat.

    Every socket call is printed with what it returned and when; what the other end said goes to standard output.

    \b
    Examples:
      handshake-inspect echo serve --port 8000
      handshake-inspect echo connect 127.0.0.1:8000
      handshake-inspect echo chat serve --port 9000
      handshake-inspect echo chat join --name ANNA 127.0.0.1:9000
    """


command.add_command(chat)


@command.command("serve")
@click.option("--host", metavar="ADDRESS", help="Where to listen: an address or a name.  [default: loopback]")
@click.option("--port", type=PORT, metavar="PORT", help="0: the kernel chooses one.  [default: 0]")
@click.option("--ipv6", is_flag=True, help="On ::1, or on the IPv6 address of that name.")
@click.option("--plain", is_flag=True, help="Send back what came as it is, not in upper case.")
@click.option("--backlog", type=Whole(0, 65535), metavar="N", help="How many may wait to be accepted.  [default: 5]")
@click.option("--one-at-a-time", is_flag=True, help="The next client waits until this one has left.")
@click.option("--close-first", is_flag=True, help="Close each connection after the first answer.")
@click.option("--clients", type=Whole(1), metavar="N", help="End after N clients (UDP: datagrams).")
@click.option("--timeout", "timeout_s", type=Seconds(0.001, 86400), metavar="SECONDS",
              help="Leave a client that is silent for so long.")  # fmt: skip
@shared_options(
    half_close="Have the last word after the client's FIN; with --close-first: close the sending direction only."
)
def serve_command(quiet: bool, **given: Any) -> int:
    """Run an echo server: it answers every client in upper case, until Ctrl-C.

    It says what each socket call returned, what a leave or a reset looks like, and what to type in the other
    terminal. With --delay 0.3 a close has four segments, without it three: the server's FIN carries the ACK.

    \b
    Examples:
      handshake-inspect echo serve --port 8000
      handshake-inspect echo serve --port 8000 --ipv6 --close-first --half-close
      handshake-inspect echo serve --udp --port 8000
      handshake-inspect echo serve --unix /tmp/echo.sock
    """
    from handshake_inspect.cli.echo_screen import EchoScreen, Output, end_by_signals
    from handshake_inspect.lab.by_hand.echo_server import Tally, serve

    plan = server_plan(given)
    screen = EchoScreen(Output(quiet), invitation=INVITATIONS[plan.where.transport])
    tally = Tally()
    end_by_signals()
    try:
        serve(plan, screen, tally)
    except KeyboardInterrupt:
        screen.end()
    screen.result(summary(tally))
    return 0


@command.command("connect")
@click.argument("address", required=False, metavar="[HOST:]PORT")
@click.option("--message", "messages", multiple=True, metavar="TEXT", help="Say this and end; may be repeated.")
@click.option(
    "--source-port",
    type=Whole(1, 65535),
    metavar="PORT",
    help="The client's own port; the kernel chooses one.",
)
@click.option("--close-second", is_flag=True, help="Wait for the server to close first: `echo serve --close-first`.")
@click.option("--timeout", "timeout_s", type=Seconds(0.001, 86400), default=5.0, show_default=True,
              metavar="SECONDS", help="How long a call may wait.")  # fmt: skip
@shared_options(
    half_close="Close the sending direction only, and hear what the server still says; with --close-second: have the "
    "last word after the server's FIN."
)
def connect_command(messages: tuple[str, ...], quiet: bool, **given: Any) -> int:
    """Connect to an echo server and say the lines you type, or those of a pipe, or each --message.

    The echo goes to standard output, the socket calls to standard error. Ctrl-D closes.

    \b
    Examples:
      handshake-inspect echo connect 127.0.0.1:8000
      handshake-inspect echo connect [::1]:8000 --message bith --half-close
      handshake-inspect echo connect --udp 8000 --message bith
      handshake-inspect echo connect --unix /tmp/echo.sock
    """
    from handshake_inspect.cli.echo_screen import EchoScreen, Output, lines_to_say
    from handshake_inspect.lab.by_hand.echo_client import ask

    plan = client_plan(given)
    screen = EchoScreen(Output(quiet))
    ask(plan, lines_to_say(messages, screen.prompt, "type lines; Ctrl-D closes"), screen, screen.heard)
    return 0


def server_plan(given: dict[str, Any]) -> ServerPlan:
    """Return the plan of the server from the options. Raises LabError or UsageError."""
    from handshake_inspect.lab.by_hand.echo_plans import ServerPlan, internet_place

    if given["udp"] and given["timeout_s"] is not None:
        raise click.UsageError("--timeout does not go with --udp: there is no client to leave")
    where = place(given) or internet_place(
        given["host"] or "", given["port"] or 0, udp=given["udp"], ipv6=given["ipv6"]
    )
    return ServerPlan(
        where,
        answer=bytes if given["plain"] else bytes.upper,
        backlog=5 if given["backlog"] is None else given["backlog"],
        one_at_a_time=given["one_at_a_time"],
        clients=given["clients"],
        close_first=given["close_first"],
        half_close=given["half_close"],
        reset=given["linger"] is not None,
        delay_s=given["delay_s"],
        timeout_s=given["timeout_s"],
    )


def client_plan(given: dict[str, Any]) -> ClientPlan:
    """Return the plan of the client from the options. Raises LabError or UsageError."""
    from handshake_inspect.lab.by_hand.echo_plans import ClientPlan, internet_place, split_place

    where = place(given)
    if where is not None and given["address"] is not None:
        raise click.UsageError("a Unix socket has no address: leave out either --unix or [HOST:]PORT")
    if where is None:
        if given["address"] is None:
            raise click.UsageError("where to? Give [HOST:]PORT, as `echo serve` prints it, or --unix PATH")
        where = internet_place(*split_place(given["address"]), udp=given["udp"])
    return ClientPlan(
        where,
        source_port=given["source_port"] or 0,
        close_second=given["close_second"],
        half_close=given["half_close"],
        reset=given["linger"] is not None,
        delay_s=given["delay_s"],
        timeout_s=given["timeout_s"],
    )


def place(given: dict[str, Any]) -> EchoAddress | None:
    """Return the path of the Unix socket, if one is given; refuse options that do not fit it, or each other."""
    from handshake_inspect.lab.by_hand.echo_plans import unix_place

    if given["path"] is not None and given["udp"]:
        raise click.UsageError("choose one: --udp or --unix")
    transport = "unix" if given["path"] is not None else "udp" if given["udp"] else "tcp"
    without, why = WITHOUT_MEANING.get(transport, (set(), ""))
    for name, value in given.items():
        if name in without and value is not None and value is not False:
            raise click.UsageError(f"--{name.replace('_', '-')} does not go with --{transport}: {why}")
    if given["half_close"] and given["linger"] is not None:
        raise click.UsageError("choose one: --half-close or --linger, which closes both directions at once by an RST")
    return None if given["path"] is None else unix_place(given["path"])


def summary(tally: Tally) -> str:
    """Return the last line of a server."""
    from handshake_inspect.quantities import counted

    still = f"; {tally.connected} still connected: the kernel closes for us" if tally.connected else ""
    return f"{counted(tally.clients, 'client')} served, {counted(tally.octets, 'octet')} echoed{still}"
