"""Lines of text that fit, though the font is not known: widths are estimated generously.

In: text, the room that there is, and how wide a character of its font is. Out: printable lines. East Asian wide
characters count two.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from handshake_inspect.views.escape import printable

#: Widths of a character, in parts of the size of its font: of the monospaced ones all are equal.
MONO_WIDTH, SANS_WIDTH = 0.62, 0.55
#: The same of a bold title.
BOLD_WIDTH = 0.62
#: How much of a line a word may fill: in a long name there are no narrow blanks.
WORD_MOST = 0.84


def wrapped(said: str, room: float, character: float) -> list[str]:
    """Break text into lines that fit, at spaces; a word that is too long is broken too."""
    most = max(int(room / character), 8)
    most_of_word = int(most * WORD_MOST)
    lines = [""]
    for word in printable(said).split():
        while cell_len(word) > most_of_word:
            part = word[:most_of_word]
            part = part[: most // 2] if cell_len(part) > most else part
            lines += [part, ""]
            word = word[len(part) :]
        if lines[-1] and cell_len(lines[-1]) + 1 + cell_len(word) > most:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return [line for line in lines if line]


def flowed(items: Sequence[str], room: float, character: float) -> list[str]:
    """Put items one after another on lines that fit."""
    lines: list[str] = []
    for item in filter(str.strip, map(printable, items)):
        if lines and cell_len(lines[-1]) + 3 + cell_len(item) <= room / character:
            lines[-1] += f" · {item}"
        else:
            lines += wrapped(item, room, character)
    return lines


def clipped(said: str, room: float, character: float) -> str:
    """Return text cut to the room, with an ellipsis if anything was cut."""
    said, most = printable(said), int(room / character)
    return said if cell_len(said) <= most else f"{said[: most - 1]}…"
