"""The screen without a terminal: a source of recorded captures, keys that are pressed, and what stands there then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from handshake_inspect.archive import Archive
from handshake_inspect.cli.browse import source_of
from handshake_inspect.cli.captures import inspect_files
from handshake_inspect.places import Places
from handshake_inspect.screen.app import ConnectionsApp
from handshake_inspect.screen.colours import Colours
from handshake_inspect.screen.files import Files
from handshake_inspect.screen.sight import Source
from tests.cli.running import PCAPS

#: How long the screen may take to show what it should.
PATIENCE_S = 10.0


class Shown:
    """A screen that is shown."""

    def __init__(self, app: ConnectionsApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    def press_at_once(self, *keys: str) -> None:
        """Press keys as a slow line brings them: all before the first has done anything."""
        for key in keys:
            self.app.post_message(Key(key, key if len(key) == 1 else None))

    async def type(self, text: str) -> None:
        """Put a text in place of what stands there, the last sign of it with a key, and press Enter."""
        typed = self.app.query_one("#typed", Input)
        typed.value = text[:-1]
        await self.pilot.press("end", text[-1], "enter")

    @property
    def listed(self) -> list[str]:
        """The lines of the list, the heading first."""
        lines = [self.app.list.render_line(y).text.rstrip() for y in range(self.app.list.size.height)]
        return [line for line in lines if line.strip()]

    @property
    def text(self) -> str:
        """What is to be read."""
        return self.app.text.plain

    @property
    def title(self) -> str:
        """What stands above what is to be read."""
        return self.app.text.render_line(0).text.rstrip()

    @property
    def all(self) -> str:
        """Everything."""
        return "\n".join([self.app.head.plain, *self.listed, self.text, self.app.foot.plain])

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something is so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while not holds():
                    await self.pilot.pause(0.02)
        assert holds(), self.all


def show(
    source: Source,
    check: Callable[[Shown], Awaitable[None]],
    size: tuple[int, int] = (120, 36),
    colours: Colours = Colours(),  # noqa: B008 - it is frozen
) -> None:
    """Show a source, and do something with it."""

    async def run() -> None:
        app = ConnectionsApp(source, colours)
        async with app.run_test(size=size) as pilot:
            shown = Shown(app, pilot)
            await check(shown)

    asyncio.run(run())


@contextmanager
def files_of(names: Sequence[str], folder: Path = PCAPS) -> Iterator[Files]:
    """Read recorded captures."""
    paths = [str(folder / name) for name in names]
    with Archive() as archive:
        reading = inspect_files(paths, places=Places(archive))
        streams = reading.inspection.connections.streams
        source = source_of(reading, {**{path: path for path in paths}, **reading.located}, streams)
        with source.answering():
            yield source
