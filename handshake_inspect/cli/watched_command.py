"""A command in a private network, watched from its beginning to its end: `sniff -- COMMAND`."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import CaptureError, Records
from handshake_inspect.cli.drawing import LadderSettings
from handshake_inspect.cli.listening import SavedCapture, broken_off, list_found, list_udp, tell_rest
from handshake_inspect.cli.naming import is_capture
from handshake_inspect.cli.output import write_octets
from handshake_inspect.cli.printed import PrintedTail
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.cli.tracing import print_traced
from handshake_inspect.cli.watch import Watch, WatchRequest
from handshake_inspect.inspection import Inspection
from handshake_inspect.lab.command.refusals import CommandError
from handshake_inspect.lab.command.run import run_command
from handshake_inspect.lab.command.running import CommandEnd, Running, Streams
from handshake_inspect.quantities import listed
from handshake_inspect.there import is_file


def watch_command(
    program: Sequence[str],
    wishes: WatchRequest,
    keeping: SavedCapture | None,
    how: dict[str, Any],
    *,
    traced: bool,
    on_screen: bool = False,
) -> int:
    """Run a command in a private network and watch it; return its exit status. Raises LabError.

    If saving fails, the command and the watching go on, and the exit status is 2 unless the command failed itself.
    """
    printed = PrintedTail() if on_screen else None
    watcher = _Watcher(program, replace(wishes, quiet=wishes.quiet or traced), keeping, printed)
    try:
        ended, has_failed = run_command(
            program,
            watcher.watch,
            traced=traced,
            open_capture=lambda: LiveCapture("lo", **how),
            streams=Streams if printed is None else printed.streams,
        )
    except CommandError as error:
        if is_file(program[0]) and is_capture(program[0]):
            remark(f"Error: {program[0]} is a capture, no command: handshake-inspect read {shlex.quote(program[0])}")
            return error.exit_status
        is_interface = program[0] in [name for _, name in socket.if_nameindex()]
        remark(f"Error: {error}{f'; to watch that interface: sniff -i {program[0]}' if is_interface else ''}")
        return error.exit_status
    if ended.left:
        remark(f"ended with its network: {listed(ended.left)}")
    if ended.exit_status:
        remark(f"{program[0]} {how_it_ended(ended)}")
    return ended.exit_status or (2 if has_failed else 0)


@dataclass(frozen=True)
class _Watcher:
    """Watches the command, in its private network."""

    program: Sequence[str]
    wishes: WatchRequest
    keeping: SavedCapture | None
    #: Collects what the command prints while the screen shows it; None: the command has the terminal.
    printed: PrintedTail | None

    def watch(self, running: Running) -> tuple[CommandEnd, bool]:
        """Watch the command to its end and print the results; return how it ended, and whether saving failed."""
        writer = self.keeping.opened(running.capture) if self.keeping else None
        watch = Watch(running.capture, self.wishes, writer, on_screen=self.printed is not None)
        if self.printed is None:
            failure = to_the_end(watch, running.blocks())
        else:
            failure = command_on_screen(watch, running, self.printed, self.program[0])
        assert running.ended is not None
        inspection = watch.finish()
        self._print_found(watch, running, inspection)
        tell_rest(watch, inspection, self.keeping)
        if failure is not None:
            remark(f"Error: {failure}")
        return replace(running.ended, log=None), failure is not None

    def _print_found(self, watch: Watch, running: Running, inspection: Inspection) -> None:
        """Print the ladders of a traced command, else the list of its connections."""
        log = running.ended.log if running.ended is not None else None
        if log is None:
            list_found(watch, inspection)
            return
        title, dropped = Path(self.program[0]).name, running.capture.dropped
        print_traced(inspection, running.frames, log, LadderSettings().options(), title=title, dropped=dropped)
        list_udp(watch, inspection)


def to_the_end(watch: Watch, blocks: Iterator[Records | None]) -> CaptureError | None:
    """Follow a capture to its end, even if saving fails before."""
    failure = broken_off(watch, blocks)
    if failure is not None:
        watch.is_saving = False
        watch.follow(blocks)
    return failure


def command_on_screen(watch: Watch, running: Running, printed: PrintedTail, name: str) -> CaptureError | None:
    """Follow a command's capture in a thread of its own while the screen shows it.

    The screen stays when the command ends, until the user leaves it or the terminal is closed. Then the output of the
    command is printed.
    """
    from handshake_inspect.cli.screens import run_screen
    from handshake_inspect.screen.live import Live

    printed.begun()
    live = Live(watch, printed=printed.text)
    live.on_interrupt = running.interrupt
    running.when_asked_to_end(live.desk.close)

    def follow() -> CaptureError | None:
        failure = to_the_end(watch, live.attended(running.blocks()))
        assert running.ended is not None
        live.ended = "" if running.is_asked_to_end else f"{name} {how_it_ended(running.ended)}"
        return failure

    failure = live.shown(follow, run_screen, running.stop)
    printed.finish()
    write_octets(printed.octets)  # as it would have stood there
    return failure


def how_it_ended(ended: CommandEnd) -> str:
    """Return how a command ended, as the end of a sentence."""
    return f"was ended by {ended.killed_by}" if ended.killed_by else f"ended with exit status {ended.exit_status}"
