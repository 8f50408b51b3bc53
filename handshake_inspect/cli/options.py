"""Options that several commands share, each written once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar, cast

import click

from handshake_inspect.cli.bounds import PORT, Whole
from handshake_inspect.cli.targets import writable
from handshake_inspect.plain import plain
from handshake_inspect.tcp.time_wait import PROFILES, profile_of

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("table", "json", "ndjson", "csv", "zeek", "markdown", "parquet")


def file_name(text: str) -> str:
    """Refuse an empty name, as that of an unset variable: "$CAPTURE"."""
    if not text:
        raise click.BadParameter("the name of a file is empty")
    return text


def files_argument(function: F) -> F:
    """FILE...: captures, folders, patterns; `-` is standard input."""
    return click.argument("files", metavar="FILE...", nargs=-1, required=True, type=file_name)(function)


def reader_option(function: F) -> F:
    """--reader."""
    return click.option(
        "--reader",
        type=click.Choice(["auto", "scapy"]),
        default="auto",
        show_default=True,
        help="Who reads and dissects: ourselves with Scapy's help, or Scapy alone.",
    )(function)


def jobs_option(function: F) -> F:
    """--jobs: how many processes or threads work. The function takes `jobs`, None for all cores, as `inspect()`."""
    return click.option(
        "-j",
        "--jobs",
        metavar="N",
        type=Whole(min=1),
        help="Work with N processes (Linux) or threads.  [default: one for each core that may be used]",
    )(function)


def dask_option(function: F) -> F:
    """--dask: who does the work. The function takes `dask`, the address of a scheduler, "local", or None."""
    return click.option(
        "--dask",
        metavar="[ADDRESS]",
        is_flag=False,
        flag_value="local",
        callback=_scheduler,
        help="Do the work on the cluster of this Dask scheduler (tcp://HOST:8786); local, or none: on workers here, "
        "--jobs of them.",
    )(function)


def _scheduler(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    if text is None or text == "local" or re.fullmatch(r"(\w+://)?[^/:]+:\d+", text):
        return text
    raise click.BadParameter(
        f"{text!r} is no address of a scheduler (tcp://HOST:8786, or local); where none is named, --dask stands last"
    )


def index_option(function: F) -> F:
    """--index: an index beside the capture. The function takes `index`."""
    return click.option(
        "--index",
        is_flag=True,
        help="Keep an index beside FILE (FILE.hsi; in the cache folder if it cannot be written there), with which the "
        "next show -s N reads this connection alone; it is made anew when FILE has changed.",
    )(function)


def write_option(text: str) -> Callable[[F], F]:
    """-w, --write: where to save what was captured. The function takes `target`, None for nowhere."""
    return click.option("-w", "--write", "target", metavar="FILE", type=file_name, callback=_no_stream, help=text)


def _no_stream(_ctx: click.Context, _param: click.Parameter, target: str | None) -> str | None:
    if target == "-":
        raise click.UsageError("-w - would mix frames with what is printed: name a file, or a pipe (mkfifo)")
    return writable_option(_ctx, _param, target)


def writable_option(_ctx: click.Context, _param: click.Parameter, target: str | None) -> str | None:
    """Refuse a file that cannot be written before the work that fills it; `-` is standard output."""
    return target if target in (None, "-") else writable(target)


def profile_option(function: F) -> F:
    """--profile: whose TIME-WAIT is assumed. The function takes `profile`, as `inspect()` does."""
    return click.option(
        "--profile",
        metavar="NAME|SECONDS",
        default="linux",
        show_default=True,
        callback=_known_profile,
        help=f"Whose TIME-WAIT is assumed: {', '.join(PROFILES)}, or a number of seconds.",
    )(function)


def _known_profile(_ctx: click.Context, _param: click.Parameter, text: str) -> str:
    try:
        return profile_of(text).name
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def once(instead: str) -> Callable[[click.Context, click.Parameter, tuple[Any, ...]], Any]:
    """Return the one value of a `multiple` option, or None; click silently takes the last value of other options.

    `instead`: what does it for several.
    """

    def value(_ctx: click.Context, param: click.Parameter, values: tuple[Any, ...]) -> Any:
        if len(values) > 1:
            raise click.UsageError(f"{param.opts[-1]} counts once: {instead}")
        return values[0] if values else None

    return value


def ports_option(function: F) -> F:
    """--ports: from where connect() takes ports. The function takes `ports`, first and last, or None."""
    return click.option(
        "--ports",
        metavar="FIRST-LAST",
        callback=_port_range,
        help="The ephemeral ports of the hosts, to which TIME-WAITs are compared; those of --profile unless given.",
    )(function)


def _port_range(_ctx: click.Context, _param: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= 65535):
        raise click.BadParameter(f"{text!r} is no range of ports (32768-60999; from 1 to 65535)")
    return int(first), int(last)


@plain
class SelectionOptions:
    """The values of `selection_options`, as on the command line; `choose.choice` parses them."""

    where: str | None = None
    host: str | None = None
    net: tuple[str, ...] = ()
    port: int | None = None
    since: str | None = None
    until: str | None = None
    streams: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The options as they were given: "--port 8000"; "" if there were none."""
        names = {"streams": "stream"}
        given = ((names.get(one.name, one.name), getattr(self, one.name)) for one in fields(self))
        return " ".join(
            f"--{name} {part}"
            for name, value in given
            if value not in (None, ())
            for part in (value if isinstance(value, tuple) else (value,))
        )


def selection_options(function: F) -> F:
    """--where, --host, --net, --port, --since, --until, --stream: which connections. The function takes `asked`."""

    @wraps(function)
    def gathered(**options: Any) -> Any:
        asked = SelectionOptions(**{one.name: options.pop(one.name) for one in fields(SelectionOptions)})
        return function(asked=asked, **options)

    command = gathered
    for option in (
        click.option(
            "-s",
            "--stream",
            "streams",
            multiple=True,
            metavar="N[,N-M...]",
            help="Only connections with these numbers; N- is N and all later ones.",
        ),
        click.option("--until", metavar="TIME", help="Only what had begun by then."),
        click.option(
            "--since",
            metavar="TIME",
            help="Only what still went on then or later; it is judged with all its segments. TIME is "
            "2026-11-21T06:40:30.5Z, 2026-11-21 (its midnight), 1795243230.5 (since 1970), +1.5s (after the first "
            "frame) or 06:40:30 (of its day); UTC unless it has a zone.",
        ),
        click.option(
            "--port",
            metavar="PORT",
            type=PORT,
            multiple=True,
            callback=once("for several ports: --where 'responder.port in [80, 443]'"),
            help="Only connections of this port.",
        ),
        click.option(
            "--net", metavar="IP/LEN", multiple=True, help="Only connections with an end in one of these networks."
        ),
        click.option(
            "--host",
            metavar="IP[/LEN]",
            multiple=True,
            callback=once("for several addresses: --net IP --net IP"),
            help="Only connections of this address or network.",
        ),
        click.option(
            "--where",
            metavar="EXPR",
            multiple=True,
            callback=once("for several conditions: --where 'A and B'"),
            help="Only connections of which this is true: JSON fields or duration, == != < <= > >= in, and or not.",
        ),
    ):
        command = option(command)
    return cast(F, command)


def lesson_options(function: F) -> F:
    """--step, --quiz: a ladder as a lesson."""
    for option in (
        click.option("--quiz", is_flag=True, help="The same with a score, and what deserves another look."),
        click.option(
            "--step", is_flag=True, help="As a lesson: stop before each segment, and ask which state comes next."
        ),
    ):
        function = option(function)
    return function


def ladder_options(function: F) -> F:
    """--numbers, --time, --payload, --all: how the ladder looks."""
    for option in (
        click.option("--all", "show_all", is_flag=True, help="Show every segment; do not fold long transfers."),
        click.option(
            "--payload",
            "payload_octets",
            type=Whole(0, 65535),
            default=16,
            show_default=True,
            metavar="N",
            help="Show the first N octets of each payload.",
        ),
        click.option(
            "--time",
            "clock",
            type=click.Choice(["relative", "utc", "local"]),
            default="relative",
            show_default=True,
            help="Times since the start, or of day.",
        ),
        click.option(
            "--numbers",
            type=click.Choice(["symbolic", "relative", "absolute"]),
            default="symbolic",
            show_default=True,
            help="Sequence numbers as letters, counted from the SYN, or as in the header.",
        ),
    ):
        function = option(function)
    return function
