"""Addresses with their ports in little room: the middle of the address goes, the port stays.

In: the text of one socket, or of two with an arrow between them, and a width in terminal columns. Out: text that fits.
"""

from __future__ import annotations

ARROW = " → "
#: Two sockets of IPv4 are never longer than this with their arrow; those of IPv6 are cut to it before columns go.
NARROW_SOCKETS = 2 * len("255.255.255.255:65535") + len(ARROW)
#: What one socket and two have at the least: the port, and a bit of the address.
SHORTEST_SOCKET = len("…::1]:65535")
SHORTEST_SOCKETS = 2 * SHORTEST_SOCKET + len(ARROW)
#: With less room for the address only its end stays: hosts of one network differ there.
BOTH_ENDS = 12


def cut_socket(text: str, width: int) -> str:
    """Cut an address with its port; an ellipsis stands for what is missing of the address."""
    if len(text) <= width:
        return text
    address, colon, port = text.rpartition(":")
    room = max(width - len(f"…:{port}"), 0)
    begin = address[: room // 2] if room >= BOTH_ENDS else ""
    end = address[len(address) - (room - len(begin)) :].lstrip("" if begin else ".")
    return f"{begin}…{end}{colon}{port}"


def cut_sockets(text: str, width: int) -> str:
    """Cut two sockets with an arrow between them, the longer one first."""
    if len(text) <= width:
        return text
    left, _, right = text.partition(ARROW)
    room = max(width - len(ARROW), 0)
    for_left = min(len(left), max(room // 2, room - len(right)))
    return f"{cut_socket(left, for_left)}{ARROW}{cut_socket(right, room - for_left)}"


def narrow_sockets(text: str) -> int:
    """Return to how many terminal columns two sockets may be cut before columns are dropped: those of IPv4 never."""
    return min(len(text), NARROW_SOCKETS)


def narrow_socket(text: str) -> int:
    """Return to how many terminal columns one socket may be cut before columns are dropped."""
    return min(len(text), len("255.255.255.255:65535"))
