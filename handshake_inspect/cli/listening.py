"""A live capture of the interfaces of this host: opened, watched, saved and summed up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.live.privileges import give_up_privileges, invoking_user_may_write
from handshake_inspect.capture.records import CaptureError, Records
from handshake_inspect.capture.writing.output import CaptureWriter
from handshake_inspect.capture.writing.rotation import RotatingWriter, Rotation, open_writer
from handshake_inspect.cli.captures import Interruption, report
from handshake_inspect.cli.choose import Choice
from handshake_inspect.cli.listing import write_kinds, write_listing, write_tables
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.cli.watch import Watch, WatchRequest, blocks_of
from handshake_inspect.inspection import Inspection
from handshake_inspect.quantities import counted, listed
from handshake_inspect.views.words import octets

#: More connections than these are counted by kind at the end, not listed one by one.
MOST_LISTED = 100


@dataclass(frozen=True)
class SavedCapture:
    """The file, or the rotation of files, in which frames are saved."""

    target: str
    rotation: Rotation | None = None

    @property
    def path(self) -> Path:
        """The file, or the one after which those of a rotation are named."""
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
    """Watch interfaces until Ctrl-C, or for `duration_s`; return the exit code. Raises CaptureError."""
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
    """Open the first file and give up the rights of root; give them up first if sudo's user may write the file."""
    if keeping is None:
        return None, give_up_privileges()
    folder = [keeping.path.parent] if keeping.rotation else []
    if invoking_user_may_write(keeping.path):
        given_up = give_up_privileges([keeping.path, *folder])
        return keeping.opened(capture), given_up
    return keeping.opened(capture), give_up_privileges(folder)


def broken_off(watch: Watch, blocks: Iterator[Records | None]) -> CaptureError | None:
    """Follow a capture and end the file; return the error that ended it, if any: what was seen is still shown."""
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


def list_found(watch: Watch, inspection: Inspection) -> None:
    """Print the connections that were seen; of many, only the number of each kind."""
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
    """Print the table of UDP exchanges below ladders, if `--udp` asks for it."""
    if lists_udp(watch, inspection):
        print()
        write_tables((), inspection.exchanges, len(inspection.captures))


def lists_udp(watch: Watch, inspection: Inspection) -> bool:
    """Is a table of UDP exchanges printed: does `--udp` ask for it, and is it short enough to be read?"""
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
    """Return what was saved where, and how much of a rotation still exists, as a sentence."""
    if not isinstance(writer, RotatingWriter):
        return f"{keeping.target}: {counted(writer.count, 'frame')} saved"
    first, last = writer.paths[0], writer.paths[-1]
    files = str(first) if first == last else f"{first} … {last.name}"
    if writer.begun == len(writer.paths):
        return f"{files}: {counted(writer.count, 'frame')} saved in {counted(writer.begun, 'file')}"
    of_files = f"the last {len(writer.paths):,} of {writer.begun:,} files are kept"
    return f"{files}: {of_files}, with {writer.kept:,} of {counted(writer.count, 'frame')}"
