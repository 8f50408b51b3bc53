"""`handshake-inspect sniff`: connections live, on the whole terminal or one line per segment, of this host or of one
command."""

from __future__ import annotations

from typing import Any

import click

from handshake_inspect.cli.amounts import ring_size, sizes_and_spans
from handshake_inspect.cli.bounds import PORT, Seconds, Whole
from handshake_inspect.cli.options import once, profile_option, write_option

#: tcpdump's largest snapshot length. Only BIG TCP comes near.
FRAME_OCTETS_MAX = 262144
#: How many octets of a frame that is not saved are read: its headers, with any tunnels. Loopback has frames of 64 KiB.
FRAME_OCTETS = 4096


@click.command("sniff", context_settings={"allow_interspersed_args": False})
@click.option(
    "-i", "--interface", "interfaces", multiple=True, metavar="NAME",
    help="Where to listen: lo unless given; may be repeated; any: all interfaces.",
)  # fmt: skip
@click.option(
    "--filter", "bpf", metavar="EXPR", multiple=True, callback=once("for several filters: --filter 'A or B'"),
    help="Only frames that tcpdump would take for it: 'tcp port 443'.",
)  # fmt: skip
@click.option(
    "--port", metavar="PORT", type=PORT, multiple=True,
    callback=once("for several ports: --filter 'tcp port 80 or tcp port 443'"), help="Only segments of this port.",
)  # fmt: skip
@click.option("--count", type=Whole(min=1), metavar="N", help="End after N segments.")
@click.option("--duration", type=Seconds(min=0, min_open=True), metavar="S", help="End after S seconds.")
@click.option("--plain", is_flag=True, help="Print lines also where the whole terminal could show the connections.")
@click.option("-q", "--quiet", is_flag=True, help="Print no line for a segment, only what is found at the end.")
@click.option("--udp", is_flag=True, help="Print a line for each datagram of UDP too, and list who asked whom.")
@write_option("Save what was seen: pcapng, or pcap where FILE ends in .pcap.")
@click.option(
    "--rotate", multiple=True, metavar="SIZE|TIME", callback=sizes_and_spans,
    help="Begin a new file before one is larger than this (100MB), or after so long (1h); FILE_00001_<time>.pcapng.",
)  # fmt: skip
@click.option("--files", type=Whole(min=1), metavar="N", help="Keep the last N files of --rotate.")
@click.option(
    "--buffer", "ring_octets", metavar="SIZE", default="64MiB", show_default=True, callback=ring_size,
    help="Room for frames that wait to be read, in steps of 512KiB from 1MiB to 4GiB; when full, they are dropped.",
)  # fmt: skip
@click.option(
    "--snap", "snap_octets", type=Whole(64, FRAME_OCTETS_MAX), metavar="OCTETS",
    help="Take so much of each frame: all of it with -w, else 4096.",
)  # fmt: skip
@click.option("--promiscuous", is_flag=True, help="Take frames that are for others, too.")
@click.option("--strace", "traced", is_flag=True, help="With COMMAND: its socket calls too, in ladders at its end.")
@profile_option
@click.argument("program", metavar="[-- COMMAND [ARG]...]", nargs=-1, type=click.UNPROCESSED)
def command(
    interfaces: tuple[str, ...],
    bpf: str | None,
    port: int | None,
    count: int | None,
    duration: float | None,
    plain: bool,
    quiet: bool,
    udp: bool,
    target: str | None,
    rotate: tuple[int | None, int | None],
    files: int | None,
    ring_octets: int,
    snap_octets: int | None,
    promiscuous: bool,
    traced: bool,
    profile: str,
    program: tuple[str, ...],
) -> int:
    """Watch TCP connections live: on the whole terminal, each with both states as they change, and one with its ladder.

    Elsewhere, and with --plain: one line per segment, with the states of both ends after it; with --udp also one per
    datagram of UDP. On the screen ? lists the keys: filter, pause, sort, findings, write.

    Ends at q or Ctrl-C, or as --count and --duration say, with what was found and what the kernel dropped. Needs the
    right to capture (root, or CAP_NET_RAW), which it gives up once the capture is open. Connections that are over are
    let go after their TIME-WAIT if there are many, so it can run for days.

    With COMMAND: runs it in a private network, where nobody else talks and no right is needed, and watches that until
    it ends; the exit status is the command's. The screen stays until it is left; o shows there what the command prints,
    which has no input (with --plain it has).

    \b
    Examples:
      handshake-inspect sniff
      handshake-inspect sniff --plain --port 8000
      handshake-inspect sniff --udp --port 8000
      handshake-inspect sniff -i eth0 --filter 'tcp port 443' --duration 10
      handshake-inspect sniff -i any -q -w day.pcapng --rotate 100MB --rotate 1h --files 24
      handshake-inspect sniff --snap 256 -w headers.pcapng
      handshake-inspect sniff -w echo.pcapng -- python3 echo_test.py
      handshake-inspect sniff --strace -- python3 echo_test.py
    """
    from handshake_inspect.capture.writing.rotation import Rotation
    from handshake_inspect.cli.listening import SavedCapture, listen
    from handshake_inspect.cli.screens import wants_screen
    from handshake_inspect.cli.watch import WatchRequest
    from handshake_inspect.cli.watched_command import watch_command

    octets_max, seconds = rotate
    if target is None and (octets_max or seconds):
        raise click.UsageError("--rotate needs -w FILE: there is nothing to rotate")
    if files is not None and not (octets_max or seconds):
        raise click.UsageError("--files needs --rotate SIZE or --rotate TIME")
    rotation = Rotation(octets_max, seconds, files) if octets_max or seconds else None
    keeping = None if target is None else SavedCapture(target, rotation)
    wishes = WatchRequest(port=port, count=count, quiet=quiet, udp=udp, profile=profile)
    frame_octets = snap_octets or (FRAME_OCTETS if keeping is None else FRAME_OCTETS_MAX)
    how: dict[str, Any] = {"bpf": bpf, "ring_octets": ring_octets, "frame_octets": frame_octets}
    if not program:
        if traced:
            raise click.UsageError("--strace needs a COMMAND: sniff --strace -- COMMAND")
        how["promiscuous"] = promiscuous
        on_screen = not (plain or quiet or udp) and wants_screen()
        return listen(interfaces or ("lo",), wishes, keeping, duration, how, on_screen=on_screen)
    in_vain = {"-i": interfaces, "--promiscuous": promiscuous, "--duration": duration, "--count": count}
    for option in (one for one, given in in_vain.items() if given):
        raise click.UsageError(f"{option} is not for a COMMAND: its network has lo alone, and it ends with the command")
    on_screen = not (plain or quiet or udp) and wants_screen()
    return watch_command(program, wishes, keeping, how, traced=traced, on_screen=on_screen)
