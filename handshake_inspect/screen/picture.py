"""A picture of the screen, for documents.

In: a source, and the size of the terminal. Out: SVG, as Textual draws it, after some keys were pressed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from handshake_inspect.screen.app import ConnectionsApp
from handshake_inspect.screen.colours import Colours
from handshake_inspect.screen.sight import Source

#: How long the screen may take to have nothing left to draw.
SETTLE_S = 0.3


def picture(source: Source, colours: Colours, size: tuple[int, int], keys: Sequence[str] = ()) -> str:
    """Return the screen as SVG: `size` in columns and lines. The source's desk is answered by another thread."""

    async def drawn() -> str:
        app = ConnectionsApp(source, colours)
        async with app.run_test(size=size) as pilot:
            await pilot.pause(SETTLE_S)
            for key in keys:
                await pilot.press(key)
                await pilot.pause(SETTLE_S)
            return app.export_screenshot(title=f"handshake-inspect {source.title}")

    return asyncio.run(drawn())
