"""The command line: which commands there are, and how every one of them ends.

Commands are imported when they are called, so that `--help` needs neither numpy nor Scapy nor rich. A command returns
its exit code: 0, or 1 where a check failed, or 2 where something named could not be used. Click's own errors and
Ctrl-C would exit with 1: here they give 2 and 130. Every error is one line on standard error.

Each command is a module, named in `COMMANDS`. All modules, in an order in which each imports only from those before it:

- `groups`: groups of commands, and the exit code after Ctrl-C.
- `targets`: files to be written.
- `amounts`, `bounds`, `options`: sizes, times and numbers as arguments; options that several commands share.
- `closed_pipe`, `standard_error`, `output`, `progress`: standard output and error.
- `naming`: names on the command line -> files.
- `remains`: files that must not outlive the command.
- `choose`, `wanted`: which connections, which findings.
- `listing`, `outflow`, `ledger`, `finding_listing`: connections, TIME-WAITs and findings in every format.
- `captures`, `indexing`, `spreading`: files -> an inspection: here, from an index, or on a cluster.
- `read`, `findings`: these commands.
- `drawing`, `ladders`, `tracing`, `dissection`, `lesson`: ladders, socket calls beside them, one frame, a lesson.
- `show`, `diff`, `join`, `explain`: these commands.
- `shown_by`: the command line that shows the same connection again.
- `report`: this command.
- `screens`: whether a command has the whole terminal.
- `browse`: this command.
- `checking`, `recording`, `reporting`: expectations checked, written, and told about.
- `check`: this command.
- `live_lines`, `watch`, `listening`: a live capture, block by block.
- `printed`, `watched_command`: a command, watched in a private network.
- `sniff`: this command.
- `verifying`, `wait_report`, `waiting`, `performing`: sessions of the lab, and the wait for their TIME-WAIT.
- `demo`, `lab`: these commands.
- `echo_screen`, `echo_chat`: what the programs by hand say.
- `echo`: this command.
- `timewait_bind`, `timewait_census`, `timewait_watch`: the TIME-WAIT entries of this host.
- `timewait`: this command.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from handshake_inspect.cli.closed_pipe import drop_output, drop_what_is_left
from handshake_inspect.cli.groups import INTERRUPTED, Group

#: Command -> its one-line help, in the order of a first acquaintance. The modules have the same names.
COMMANDS = {
    "demo": "Run a real echo session, capture it live, and draw its ladder.",
    "read": "List every connection of captures: how it opened, how it closed.",
    "findings": "Say what an expert would notice: grouped and counted, the worst first.",
    "show": "Draw the ladder of one connection: both states at every segment, with the proof.",
    "browse": "Browse the connections of captures on the whole terminal, each with its ladder.",
    "report": "Write one page about all connections: verdicts, table, ladders, charts; no network.",
    "sniff": "Watch connections live, on the whole terminal or one line per segment, with both states.",
    "echo": "Serve and connect by hand: echo over TCP, UDP or a Unix socket, and a chat.",
    "lab": "Make every kind of connection with real sockets: list, run, record.",
    "timewait": "Time TIME-WAIT against the kernel's own timer: list it, watch it end, try to bind beside it.",
    "explain": "Explain a state, a control bit, a socket call, a question or a finding, with a real ladder.",
    "check": "Check captures against what is expected of them; exit 1 if anything differs (for CI).",
    "diff": "Compare two captures: the same behaviour, or the first segment at which they part.",
    "join": "Join captures of both ends: what died on the way, what was changed, how long it took.",
}
#: Objects that must be new before the garbage collector looks at them: more than all that is imported.
MANY_OBJECTS = 100_000
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Commands(Group):
    """A group whose commands are modules of this package, imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, in the order in which they are shown."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the module of a command and return it."""
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"{__name__}.{name}").command
        return command

    def summaries(self, ctx: click.Context) -> list[tuple[str, str]]:
        """Return each command with its one-line help, without importing any."""
        return list(COMMANDS.items())

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; where Ctrl-C ends it with nothing to show, say at least that."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            return INTERRUPTED

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run the command line and exit with its code."""
        extra.pop("standalone_mode", None)
        _prepare_streams()
        try:
            code = super().main(args, prog_name or "handshake-inspect", standalone_mode=False, **extra)
            sys.stdout.flush()
        except click.ClickException as error:
            code = _refuse(error)
        except (KeyboardInterrupt, click.Abort):
            code = INTERRUPTED
        except (BrokenPipeError, SystemExit):  # click's own answer to a closed pipe is to exit with 1
            drop_output()
            code = 0
        except Exception as error:
            if _wants_memory(error):
                code = _out_of_memory(error)
            else:
                code = _unwritable(error) if isinstance(error, OSError) else _known_failure(error)
        drop_what_is_left()
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=Commands, context_settings=CONTEXT, invoke_without_command=True)
@click.version_option(package_name="handshake-inspect", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Say how every TCP connection of a capture opened, lived and closed, and prove it.

    \b
    Examples:
      handshake-inspect demo
      handshake-inspect read capture.pcap
      handshake-inspect show capture.pcap --stream 3
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> NoReturn:
    """Run `handshake-inspect`: the console script."""
    # What is imported stays: without this the collector looks at all of it several times at the start (15 ms).
    gc.set_threshold(MANY_OBJECTS)
    codes: list[int] = []
    atexit.register(_leave, codes)  # before all others, so called after them
    # Else numpy starts a thread for each core, for products of matrices, of which we have none: 20 ms at every start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        cli.main()
    except SystemExit as ended:
        codes.append(ended.code)  # type: ignore[arg-type]  # always a number
        raise


def _leave(codes: Sequence[int]) -> None:
    """End the process, if it ends with an exit code: to free every object first takes Python 7 to 40 ms."""
    if codes:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(codes[0])


def _refuse(error: click.ClickException) -> int:
    """Print a wrong use in one line, with the help that would show the right one."""
    context = getattr(error, "ctx", None)
    hint = f" See {context.command_path} --help." if context else ""
    message = " ".join(error.format_message().split())
    click.echo(f"Error: {message.rstrip('.?')}{'?' if message.endswith('?') else '.'}{hint}", err=True)
    return 2


def _known_failure(error: Exception) -> int:
    """Print what our own modules refuse to do; anything else is a bug and keeps its traceback."""
    for module, name in (("capture.records", "CaptureError"), ("lab.world", "LabError")):
        loaded = sys.modules.get(f"handshake_inspect.{module}")
        if loaded is not None and isinstance(error, getattr(loaded, name)):
            from handshake_inspect.views.escape import printable

            click.echo(printable(f"Error: {error}"), err=True)
            return 2
    raise error


def _wants_memory(error: Exception) -> bool:
    """Is it one of the ways in which Python, numpy and the system say that there is no memory left?"""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    said = str(error)
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, RuntimeError) and "can't start new thread" in said)
        or (isinstance(error, ImportError) and "failed to map segment from shared object" in said)
    )


def _out_of_memory(error: Exception) -> int:
    """Say that memory ran out, behind what was printed before; what the work held is let go first."""
    said = " ".join(str(error).split()) if isinstance(error, MemoryError) else ""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    del error
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    why = f" ({said})" if said else ""
    click.echo(
        f"Error: out of memory{why}: what was printed is not complete; allow more (ulimit -v, the limit of the "
        "container), or ask for less at once: fewer files, --jobs 1",
        err=True,
    )
    return 2


def _unwritable(error: OSError) -> int:
    """Say that standard output takes no more (a full disk); other files speak for themselves, as `CaptureError`."""
    if error.filename is not None:
        raise error
    drop_output()
    if sys.platform == "win32" and error.errno == errno.EINVAL:  # what a closed pipe is there
        return 0
    with contextlib.suppress(OSError):  # a terminal that has gone takes that neither
        click.echo(f"Error: the output cannot be written: {error.strerror or error}", err=True)
    return 2


def _prepare_streams() -> None:
    """Where the terminal's encoding has no arrows, print ASCII that looks like them, instead of failing."""
    import codecs

    for name, mode, access in (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_WRONLY), ("stderr", "w", os.O_WRONLY)):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, os.fdopen(os.open(os.devnull, access), mode))
    codecs.register_error("handshake-inspect", _replace)
    for stream in (sys.stdout, sys.stderr):
        encoding = (getattr(stream, "encoding", None) or "").lower()
        if not encoding.startswith("utf") and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="handshake-inspect")


_ASCII = str.maketrans({
    "─": "-", "━": "=", "▶": ">", "◀": "<", "→": ">", "←": "<", "▸": ">", "✓": "ok", "✗": "X", "…": "...", "·": "|",
    "×": "x", "●": "*", "»": ">>", "«": "<<", "µ": "u", "≠": "!", "§": "section ", "±": "+/-", "−": "-", "≤": "<=",
    "┌": "+", "┐": "+", "└": "+", "┘": "+", "│": "|", "╎": ":", "╌": "-", "▼": "v", "▲": "^",
})  # fmt: skip


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_ASCII)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end
