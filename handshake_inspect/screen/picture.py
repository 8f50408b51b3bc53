"""A picture of the screen, for documents.

In: a running screen. Out: SVG, as Textual draws it, without references to fonts on the network.
"""

from __future__ import annotations

import re

from handshake_inspect.screen.app import ConnectionsApp


def picture(app: ConnectionsApp, title: str) -> str:
    """Return what is on the screen now as SVG, in a window with a title."""
    drawn = app.export_screenshot(title=title)
    return re.sub(r"@font-face\s*{.*?}\s*", "", drawn, flags=re.DOTALL)
