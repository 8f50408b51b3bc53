"""One frame in full: every layer and field, as Scapy's dissector reads it."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.frames import fetch
from handshake_inspect.capture.records import CaptureError, RawFrame
from handshake_inspect.cli.output import write
from handshake_inspect.quantities import counted
from handshake_inspect.views.escape import printable


def dissection(frame: RawFrame) -> str:
    """Return the frame as text, a field per line."""
    logging.getLogger("scapy").setLevel(logging.ERROR)
    import scapy.layers.inet
    import scapy.layers.inet6
    import scapy.layers.l2  # noqa: F401 - the layers register themselves
    from scapy.config import conf
    from scapy.packet import Raw
    from scapy.themes import NoTheme

    conf.color_theme = NoTheme()
    layer = conf.l2types.get(frame.link_type, Raw)
    text: str = layer(frame.octets).show(dump=True)
    return "".join(printable(line) + "\n" for line in text.splitlines())


def print_dissection(paths: Mapping[str, str], number: int) -> int:
    """Print one frame, with every field that Scapy knows, of the only capture."""
    ((name, path),) = paths.items()
    frame = fetch(path, [number]).get(number)
    if frame is None:
        with open_capture(path, name=name) as opened:
            frames = sum(len(block) for block in opened)
        raise CaptureError(f"{name}: there is no frame {number}: it has {counted(frames, 'frame')}")
    write([dissection(frame)])
    return 0
