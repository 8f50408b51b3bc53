"""Files named on the command line -> an inspection; a file that cannot be used is reported and left out.

Ctrl-C ends the reading only: what was read so far is inspected.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from io import BufferedIOBase
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from handshake_inspect.capture.inputs import Hooks, Input, begun
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.capture.source import Reader
from handshake_inspect.cli.groups import INTERRUPTED
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.jobs import cores
from handshake_inspect.memory import keep_room
from handshake_inspect.plain import mutable
from handshake_inspect.processes import Workers
from handshake_inspect.quantities import counted
from handshake_inspect.table import Names
from handshake_inspect.there import is_there

if TYPE_CHECKING:
    from handshake_inspect.capture.positions import LocatedCapture
    from handshake_inspect.cli.outflow import Outflow
    from handshake_inspect.cli.progress import Progress
    from handshake_inspect.inspection import Inspection
    from handshake_inspect.overview import Overview
    from handshake_inspect.places import Places


@mutable
class FilesRead:
    """The inspection of the files, and what went wrong."""

    inspection: Inspection
    #: Why some could not be used at all; each was reported.
    failed: list[CaptureError]
    #: Ctrl-C came before the end.
    interrupted: bool
    #: Captures by their names, if it was noted where their records stand.
    located: dict[str, LocatedCapture] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0, 2 if a file could not be used, 130 after Ctrl-C."""
        return INTERRUPTED if self.interrupted else 2 if self.failed else 0

    @property
    def useless(self) -> bool:
        """Could none of the files be used?"""
        return not self.inspection.captures


def inspect_files(
    files: Sequence[str],
    reader: str = "auto",
    *,
    names: Mapping[str, str] | None = None,
    profile: str = "linux",
    fold: bool = True,
    jobs: int | None = None,
    places: Places | None = None,
    outflow: Outflow | None = None,
    with_segments: bool = True,
    meanwhile: Callable[[], object] = lambda: None,
) -> FilesRead:
    """Inspect captures as one run. Those that cannot be used are reported at once, one line each.

    `names`: what messages call a file, where that is not what it is opened by. `profile`: whose TIME-WAIT is assumed.
    `fold`, `jobs`: as in `inspect()`. `places`: where to note where everything stands, for whoever asks for single
    connections. `outflow`: takes those that leave before the end. `with_segments`: as in `Inspector.result`.
    `meanwhile`: imports what comes after, while a copy of this process reads and is ahead of us.
    """
    keep_room()
    inputs = [Input(file, reader, (names or {}).get(file)) for file in files]
    numbers = Names()
    held = inputs if outflow is None else []  # names of what goes are not those of a copy
    with begun(held, numbers, Workers(jobs or cores(), may_fork=True), positions=places is not None) as copy:
        # The largest part of us, and what reads needs none of it: it is imported while a copy reads.
        from handshake_inspect.cli.progress import Progress
        from handshake_inspect.inspector import Inspector

        meanwhile()

        def tell(left: Inspection) -> None:
            assert outflow is not None
            with progress.aside():
                outflow.write(left)

        inspector = Inspector(
            names=numbers, profile=profile, fold=fold, jobs=jobs, processes=True, places=places,
            leaving=outflow.leaving if outflow else None, told=tell if outflow else None,
        )  # fmt: skip
        failed: list[CaptureError] = []

        def note(error: CaptureError) -> None:
            with progress.aside():
                remark(f"Error: {error}")
            failed.append(error)

        with Interruption() as interruption, Progress(inspector, files) as progress:
            hooks = Hooks(
                watch=lambda opened: _Interruptible(opened, interruption, progress),
                failed=note,
                stopped=lambda: interruption.asked,
                opens=interruption.waits,
            )
            try:
                inspector.read([one for one in inputs if _is_usable(one, note)], hooks, copy)
            except KeyboardInterrupt:
                interruption.asked = True
            progress.decides()
            located = {one.name: one for one in places.captures.values()} if places is not None else {}
            found = inspector.result(with_segments=with_segments)
    if interruption.asked:
        frames = sum(one.frames for one in found.captures)
        so_far = f"this is what the first {counted(frames, 'frame')} show" if frames else "no frame had come yet"
        remark(f"interrupted: {so_far}")
    return FilesRead(found, failed, interruption.asked, located)


def _is_usable(one: Input, note: Callable[[CaptureError], None]) -> bool:
    """Can the input be read? A terminal cannot: no capture ever comes from it."""
    try:
        if one.source == "-":
            refuse_terminal()
    except CaptureError as error:
        note(error)
        return False
    return True


def report(
    run: Inspection | Overview,
    *,
    udp_listed: bool = False,
    udp_lister: str = "--udp",
    findings_listed: bool = False,
    interrupted: bool = False,
) -> None:
    """Print on standard error what the results do not contain: damage, what was not read, what was lost."""
    from handshake_inspect.overview import Overview
    from handshake_inspect.views.remarks import remarks

    said = {"udp_listed": udp_listed, "findings_listed": findings_listed, "interrupted": interrupted}
    for line in remarks(run if isinstance(run, Overview) else run.overview, udp_lister=udp_lister, **said):
        remark(line)


class Interruption:
    """Ctrl-C, or an end asked for by SIGTERM or by the end of the terminal (SIGHUP), noted.

    While a read waits for input it ends that wait; a second one ends the program.
    """

    def __init__(self) -> None:
        self.asked = False
        self.waiting = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        numbers = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup(1) ignores it
            numbers.append(signal.SIGHUP)
        self._before = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    @contextmanager
    def waits(self) -> Iterator[None]:
        """Let a signal end a wait for input. Raises KeyboardInterrupt if one has come, or comes meanwhile."""
        self.waiting = True
        try:
            if self.asked:
                raise KeyboardInterrupt
            yield
        finally:
            self.waiting = False

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        again, self.asked = self.asked, True
        if self.waiting or again:
            raise KeyboardInterrupt


class _Interruptible:
    """The records of a reader, which end at Ctrl-C, between two blocks."""

    def __init__(self, reader: Reader[Any], interruption: Interruption, progress: Progress) -> None:
        self._reader = reader
        self._interruption = interruption
        self._progress = progress

    def __iter__(self) -> Iterator[Any]:
        blocks = iter(self._reader)
        while not self._interruption.asked:
            try:
                with self._interruption.waits():
                    block = next(blocks, None)
            except KeyboardInterrupt:
                break
            if block is None:
                break
            self._progress.has_read(self._reader.name, self._reader.octets_read)
            yield block


@contextmanager
def kept(file: str) -> Iterator[str]:
    """Yield a path that can be read several times: a pipe is copied to a temporary file meanwhile."""
    if Input(file).is_file or (file != "-" and not is_there(file)):
        yield file  # where it cannot be used, reading it says why
        return
    if file == "-":
        refuse_terminal()
    import tempfile

    from handshake_inspect.cli.remains import no_remains

    with no_remains() as remains:
        # A folder, because Windows does not open a NamedTemporaryFile a second time.
        folder = Path(tempfile.mkdtemp(prefix="handshake-inspect-"))
        remains.append(folder)
        copy = folder / "pipe.pcap"
        with _opened(file) as pipe, contextlib.suppress(KeyboardInterrupt):
            _copy(file, pipe, copy)
        yield str(copy)


def _copy(file: str, pipe: BufferedIOBase, copy: Path) -> None:
    """Copy a pipe, each time what is there: Ctrl-C would lose what else is waited for. Raises CaptureError."""
    try:
        with copy.open("wb") as opened:
            while octets := pipe.read1():
                opened.write(octets)
    except OSError as error:
        why = error.strerror or error
        raise CaptureError(
            f"{file}: cannot be copied to {copy.parent.parent} (TMPDIR), to be read again: {why}"
        ) from None


def _opened(file: str) -> contextlib.AbstractContextManager[BufferedIOBase]:
    """Open a pipe by its name. Raises CaptureError."""
    if file == "-":
        return contextlib.nullcontext(cast("BufferedIOBase", sys.stdin.buffer))
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise CaptureError(f"{file}: cannot be opened: {error.strerror or error}") from None


def refuse_terminal() -> None:
    """Raise CaptureError if standard input is a terminal."""
    if sys.stdin.isatty():
        raise CaptureError("-: standard input is a terminal; try: tcpdump -w - | handshake-inspect read -")
