"""`handshake-inspect echo chat`: several people talk through one UDP server."""

from __future__ import annotations

import os

import click

from handshake_inspect.cli.bounds import PORT, Seconds, Whole
from handshake_inspect.cli.groups import Group


@click.group("chat", cls=Group)
def chat() -> None:
    """Talk with several people through one UDP server.

    \b
    Examples:
      handshake-inspect echo chat serve --port 9000
      handshake-inspect echo chat join --name ANNA 127.0.0.1:9000
    """


@chat.command("serve")
@click.option("--host", metavar="ADDRESS", help="Where to listen: an address or a name.  [default: loopback]")
@click.option("--port", type=PORT, default=0, metavar="PORT", help="0: the kernel chooses one.  [default: 0]")
@click.option("--ipv6", is_flag=True, help="On ::1, or on the IPv6 address of that name.")
@click.option(
    "--keep-alive",
    "keep_alive_s",
    type=Seconds(0.01, 3600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Ask who has been silent for so long; three times in vain, and they are gone.",
)
@click.option("--people", type=Whole(1), metavar="N", help="End when N have come and all have left.")
@click.option("-q", "--quiet", is_flag=True, help="Do not print the socket calls.")
def serve_command(
    host: str | None, port: int, ipv6: bool, keep_alive_s: float, people: int | None, quiet: bool
) -> int:  # fmt: skip
    """Run the server of a chat: what one person says is sent to all others, until Ctrl-C.

    UDP knows no connections, so the server itself keeps the list of who is here: who joined, who said that they
    leave, and who has vanished, as ICMP or their silence tells.

    \b
    Examples:
      handshake-inspect echo chat serve --port 9000
      handshake-inspect echo chat serve --port 9000 --ipv6 --keep-alive 2
    """
    from handshake_inspect.cli.echo_screen import EchoScreen, Output, end_by_signals
    from handshake_inspect.lab.by_hand.chat_server import RoomPlan, serve_chat
    from handshake_inspect.lab.by_hand.echo_plans import internet_place
    from handshake_inspect.quantities import counted

    plan = RoomPlan(internet_place(host or "", port, udp=True, ipv6=ipv6), keep_alive_s, people)
    invitation = "in other terminals: handshake-inspect echo chat join --name ANNA {0}"
    screen = EchoScreen(Output(quiet), invitation=invitation)
    end_by_signals()
    came, said = serve_chat(plan, screen)
    screen.result(f"{counted(came, 'person', 'people')} came, {counted(said, 'message')}")
    return 0


@chat.command("join")
@click.argument("address", metavar="[HOST:]PORT")
@click.option("--name", required=True, help="What you are called: letters, digits, - and _.")
@click.option("--message", "messages", multiple=True, metavar="TEXT", help="Say this and leave; may be repeated.")
@click.option(
    "--stay",
    "stay_s",
    type=Seconds(0, 86400),
    default=0.0,
    metavar="SECONDS",
    help="Listen for so long after the last --message or line of a pipe.",
)
@click.option("-q", "--quiet", is_flag=True, help="Do not print the socket calls.")
def join_command(address: str, name: str, messages: tuple[str, ...], stay_s: float, quiet: bool) -> int:  # fmt: skip
    """Join a chat: say lines, and read what the others say; /quit or Ctrl-D leaves.

    \b
    Examples:
      handshake-inspect echo chat join --name ANNA 127.0.0.1:9000
      handshake-inspect echo chat join --name BEN 9000 --message 'good morning' --stay 2 --quiet
    """
    from handshake_inspect.cli.echo_screen import EchoScreen, Output, lines_to_say
    from handshake_inspect.lab.by_hand.chat import TEXT_OCTETS_MAX
    from handshake_inspect.lab.by_hand.chat_client import GuestPlan, join_chat
    from handshake_inspect.lab.by_hand.echo_plans import internet_place, split_place
    from handshake_inspect.views.escape import printable

    longest = max((len(os.fsencode(message)) for message in messages), default=0)
    if longest > TEXT_OCTETS_MAX:
        too_long = f"{longest:,} octets are too long: {TEXT_OCTETS_MAX:,} go into a datagram of the chat"
        raise click.BadParameter(too_long, param_hint="'--message'")
    plan = GuestPlan(internet_place(*split_place(address), udp=True), name, stay_s)
    screen = EchoScreen(Output(quiet))
    lines = lines_to_say(messages, screen.prompt, "type lines; /quit or Ctrl-D leaves")
    try:
        join_chat(plan, lines, screen, lambda text: screen.result(printable(text)))
    except KeyboardInterrupt:
        screen.end()
    return 0
