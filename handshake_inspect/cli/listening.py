"""A live capture from its beginning to its end: opened, watched, saved and summed up.

Of the interfaces of this host (`listen`), or of the network in which a command runs (`watch_command`).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.live.privileges import give_up_privileges, invoking_user_may_write
from handshake_inspect.capture.records import CaptureError, Records
from handshake_inspect.capture.writing.output import CaptureWriter
from handshake_inspect.capture.writing.rotation import RotatingWriter, Rotation, open_writer
from handshake_inspect.cli.captures import Interruption, report
from handshake_inspect.cli.choose import Choice
from handshake_inspect.cli.drawing import LadderSettings
from handshake_inspect.cli.listing import write_kinds, write_listing, write_tables
from handshake_inspect.cli.output import remark, write_octets
from handshake_inspect.cli.printed import PrintedTail
from handshake_inspect.cli.tracing import print_traced
from handshake_inspect.cli.watch import Watch, WatchRequest, blocks_of
from handshake_inspect.inspection import Inspection
from handshake_inspect.lab.command.refusals import CommandError
from handshake_inspect.lab.command.run import run_command
from handshake_inspect.lab.command.running import CommandEnd, Running, Streams
from handshake_inspect.quantities import counted, listed
from handshake_inspect.views.words import octets

#: More connections than these are counted by kind at the end, not listed one by one.
MOST_LISTED = 100


@dataclass(frozen=True)
class SavedCapture:
    """Where what is seen is saved."""

    target: str
    rotation: Rotation | None = None

    @property
    def path(self) -> Path:
        """The file, or what those of a rotation are named after."""
        return Path(self.target).absolute()

    def opened(self, capture: LiveCapture) -> CaptureWriter:
        """Open the file, or the first one of a rotation. Raises CaptureError."""
        interfaces, dropped = capture.interfaces, lambda: capture.dropped
        return open_writer(
            self.target, interfaces, rotation=self.rotation, dropped=dropped, snaplen=capture.frame_octets
        )


def listen(
    interfaces: Sequence[str],
    wishes: WatchRequest,
    keeping: SavedCapture | None,
    duration_s: float | None,
    how: dict[str, Any],
    *,
    on_screen: bool = False,
) -> int:
    """Watch interfaces until Ctrl-C, or as long as wished. Returns the exit code. Raises CaptureError."""
    with LiveCapture(interfaces, **how) as capture, Interruption() as interruption:
        writer, given_up = opened_and_given_up(capture, keeping)
        if capture.ring_octets < how["ring_octets"]:
            remark(f"the buffer is {octets(capture.ring_octets)}: there is not memory for {octets(how['ring_octets'])}")
        remark(f"listening on {capture.interface}{f', {given_up}' if given_up else ''}; Ctrl-C ends")
        watch = Watch(capture, wishes, writer, on_screen=on_screen)
        blocks = blocks_of(capture, interruption, duration_s)
        failure = shown_on_screen(watch, blocks, interruption) if on_screen else broken_off(watch, blocks)
    inspection = watch.finish()
    list_found(watch, inspection)
    tell_rest(watch, inspection, keeping)
    if failure is not None:
        remark(f"Error: {failure}")
    return 2 if failure else 0


def opened_and_given_up(capture: LiveCapture, keeping: SavedCapture | None) -> tuple[CaptureWriter | None, str | None]:
    """Open the first file, and give up the rights of root: before it is opened if sudo's user may write it."""
    if keeping is None:
        return None, give_up_privileges()
    folder = [keeping.path.parent] if keeping.rotation else []
    if invoking_user_may_write(keeping.path):
        given_up = give_up_privileges([keeping.path, *folder])
        return keeping.opened(capture), given_up
    return keeping.opened(capture), give_up_privileges(folder)


def broken_off(watch: Watch, blocks: Iterator[Records | None]) -> CaptureError | None:
    """Follow a capture, and end the file; return what broke it off, if something did: what was seen is still told."""
    try:
        with watch.writer or nullcontext():
            watch.follow(blocks)
    except CaptureError as error:
        return error
    return None


def shown_on_screen(watch: Watch, blocks: Iterator[Records | None], interruption: Interruption) -> CaptureError | None:
    """Follow a capture in a thread of its own while the screen shows it; the end of either ends both."""
    from handshake_inspect.cli.screens import run_screen
    from handshake_inspect.screen.live import Live

    live = Live(watch)

    def leave() -> None:
        interruption.asked = True

    return live.shown(lambda: broken_off(watch, live.attended(blocks)), run_screen, leave)


def watch_command(
    program: Sequence[str],
    wishes: WatchRequest,
    keeping: SavedCapture | None,
    how: dict[str, Any],
    *,
    traced: bool,
    on_screen: bool = False,
) -> int:
    """Run a command in a private network and watch it. Returns the command's exit status. Raises LabError.

    Where saving fails the command goes on, and so does the watching: then 2, unless the command failed itself.
    """
    printed = PrintedTail() if on_screen else None

    def watch(running: Running) -> tuple[CommandEnd, bool]:
        writer = keeping.opened(running.capture) if keeping else None
        wished = replace(wishes, quiet=wishes.quiet or traced)
        watch = Watch(running.capture, wished, writer, on_screen=on_screen)
        if printed is not None:
            failure = command_on_screen(watch, running, printed, program[0])
        else:
            failure = to_the_end(watch, running.blocks())
        assert running.ended is not None
        inspection = watch.finish()
        if running.ended.log is not None:
            title, dropped = Path(program[0]).name, running.capture.dropped
            print_traced(
                inspection, running.frames, running.ended.log, LadderSettings().options(), title=title, dropped=dropped
            )
            list_udp(watch, inspection)
        else:
            list_found(watch, inspection)
        tell_rest(watch, inspection, keeping)
        if failure is not None:
            remark(f"Error: {failure}")
        return replace(running.ended, log=None), failure is not None

    try:
        streams = printed.streams if printed is not None else Streams
        ended, has_failed = run_command(
            program,
            watch,
            traced=traced,
            open_capture=lambda: LiveCapture("lo", **how),
            streams=streams,
        )
    except CommandError as error:
        is_interface = program[0] in [name for _, name in socket.if_nameindex()]
        remark(f"Error: {error}{f'; to watch that interface: sniff -i {program[0]}' if is_interface else ''}")
        return error.exit_status
    if ended.left:
        remark(f"ended with its network: {listed(ended.left)}")
    if ended.exit_status:
        remark(f"{program[0]} {how_it_ended(ended)}")
    return ended.exit_status or (2 if has_failed else 0)


def to_the_end(watch: Watch, blocks: Iterator[Records | None]) -> CaptureError | None:
    """Follow a capture to its end, also where saving fails before."""
    failure = broken_off(watch, blocks)
    if failure is not None:
        watch.is_saving = False
        watch.follow(blocks)
    return failure


def command_on_screen(watch: Watch, running: Running, printed: PrintedTail, name: str) -> CaptureError | None:
    """Follow a command's capture in a thread of its own while the screen shows it, which stays when the command ends.

    It is left when the terminal goes, or somebody asks for an end, also long after the command. What that printed is
    printed then.
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
    """Say how a command ended."""
    return f"was ended by {ended.killed_by}" if ended.killed_by else f"ended with exit status {ended.exit_status}"


def list_found(watch: Watch, inspection: Inspection) -> None:
    """Print the connections that were seen, or how many of each kind."""
    connections, let_go = inspection.connections, inspection.let_go
    udp = lists_udp(watch, inspection)
    if not watch.seen and not udp:
        return
    if not watch.is_quiet:
        print()
    if let_go.connections or len(connections) > MOST_LISTED:
        write_kinds(connections.kinds() + let_go.kinds)
    else:
        write_listing(inspection, Choice(), "table", udp=udp)


def list_udp(watch: Watch, inspection: Inspection) -> None:
    """Print below ladders who asked and who answered by UDP, if that was wished for."""
    if lists_udp(watch, inspection):
        print()
        write_tables((), inspection.exchanges, len(inspection.captures))


def lists_udp(watch: Watch, inspection: Inspection) -> bool:
    """Is there a list of who asked and who answered by UDP: was it wished for, and is it short enough to be read?"""
    return watch.wishes.udp and 0 < len(inspection.exchanges) <= MOST_LISTED


def tell_rest(watch: Watch, inspection: Inspection, keeping: SavedCapture | None) -> None:
    """Print on standard error what was not read, lost, let go and saved."""
    lister = "read --udp of what -w saves" if watch.wishes.udp else "--udp"
    report(inspection, udp_listed=lists_udp(watch, inspection), udp_lister=lister)
    port = watch.wishes.port
    nothing = "no TCP segment seen" if any(one.datagrams for one in inspection.captures) else "nothing seen"
    datagrams = sum(one.datagrams for one in inspection.captures) if watch.wishes.udp else 0
    counts = {"segment": watch.seen, "datagram": datagrams}
    there = listed([counted(count, what) for what, count in counts.items() if count])
    seen = f"{there} seen" if there else nothing
    if watch.passed_over:
        seen += f", {watch.passed_over:,} of them too fast to be shown one by one"
    where = f" at port {port}" if port is not None and not watch.seen else ""
    remark(f"{watch.capture.interface}: {seen}{where}, {counted(watch.capture.dropped, 'frame')} dropped")
    if watch.capture.dropped:
        less = "--snap 256 takes less of each frame, " if watch.capture.frame_octets > 256 else ""
        remark(f"to lose fewer: {less}--buffer SIZE holds more than {octets(watch.capture.ring_octets)} of them")
    if watch.writer is not None and keeping is not None:
        cut = f", {watch.cut:,} of them cut to {watch.capture.frame_octets:,} octets" if watch.cut else ""
        remark(saved(watch.writer, keeping) + cut)


def saved(writer: CaptureWriter, keeping: SavedCapture) -> str:
    """Say what was saved where, and of a rotation how much of it is still there."""
    if not isinstance(writer, RotatingWriter):
        return f"{keeping.target}: {counted(writer.count, 'frame')} saved"
    first, last = writer.paths[0], writer.paths[-1]
    files = str(first) if first == last else f"{first} … {last.name}"
    if writer.begun == len(writer.paths):
        return f"{files}: {counted(writer.count, 'frame')} saved in {counted(writer.begun, 'file')}"
    of_files = f"the last {len(writer.paths):,} of {writer.begun:,} files are kept"
    return f"{files}: {of_files}, with {writer.kept:,} of {counted(writer.count, 'frame')}"
