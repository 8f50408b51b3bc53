"""One frame in full: every layer and field, as Scapy's dissector reads it."""

from __future__ import annotations

import logging

from handshake_inspect.capture.records import RawFrame
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
