"""Text that comes from outside (payload, names, comments), made safe to print.

In: octets or text of unknown origin. Out: printable text without control codes. A terminal obeys escape sequences
(C0, DEL and C1), and shows text in another order after Unicode's bidirectional controls: both stay out.
"""

from __future__ import annotations

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}


def printable(text: str) -> str:
    """Return `text` with everything that a terminal could obey written as an escape: `\\x1b`, `\\u202e`.

    Python calls printable what is no control, format (bidirectional, zero width), surrogate, private or unassigned
    character, and no separator but the space.
    """
    return text if text.isprintable() else "".join(map(_escape, text))


def octets_text(octets: bytes, limit: int) -> str:
    """Return the first `limit` octets as text: printable ASCII as it is, the rest as `\\r`, `\\n`, `\\x00`."""
    return "".join(_octet(value) for value in octets[:limit])


def _octet(value: int) -> str:
    char = chr(value)
    if char in _SHORT:
        return _SHORT[char]
    return char if 32 <= value < 127 else f"\\x{value:02x}"


def _escape(char: str) -> str:
    if char.isprintable():
        return char
    if char in _SHORT:
        return _SHORT[char]
    number = ord(char)
    if 0xDC80 <= number <= 0xDCFF:  # an octet of a file's name that is no UTF-8 (PEP 383)
        number -= 0xDC00
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
