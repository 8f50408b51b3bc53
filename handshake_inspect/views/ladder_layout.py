"""The columns of a line of the ladder, and how arrows, cells and wrapped text are drawn.

In: text and widths. Out: `rich` Text lines of the right width. Nothing here knows TCP. Widths are terminal columns,
so East Asian wide characters count two. From left to right:

    time  left state  lane with the arrow  right state  proof

If the terminal is too narrow for the proof beside the segment, it stands on a line of its own below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size
from rich.text import Text

#: Room for the longest state with its mark: "SYN-RECEIVED?".
STATE = 13
#: What an arrow needs beside its label: "─ " and " ─▶".
ARROW = 5
#: The proof stands beside the segment if it has this much room.
PROOF_MIN = 24
PROOF_MAX = 44
LANE_MIN = 30
#: On the narrowest terminals the label goes on below its arrow, sooner than the right end's state has no room.
LANE_NARROWEST = 20
#: The lane gives up to here what the socket calls of the right end need, to begin below its name.
LANE_TIGHT = 24
#: Where it has no more to give, all of them begin together as far before it as the longest needs, if that is no more.
OUTDENT = 2
WIDTH_FOR_FRAMES = 90
LANE_MAX = 76
#: Stands between items on one line.
SEPARATOR = " · "


@dataclass(frozen=True)
class Layout:
    """Widths of the columns; `proof` 0: it stands below."""

    width: int
    time: int
    lane: int
    proof: int
    #: Part of `time` that holds the number of the frame; 0: it is not shown.
    frame: int = 0
    #: Columns from the right end's states to its socket calls, which begin so much before them.
    outdent: int = 0

    @classmethod
    def fitting(
        cls, width: int, *, frame: int, time: int, label: int, with_payload: int, calls: Sequence[int]
    ) -> Layout:
        """Choose widths for a terminal of `width`, given the widest frame number, time and label, and right `calls`.

        Frame numbers are shown where they do not cost the proof its place, nor a narrow terminal its payload.
        """
        call = max([0, *calls])
        without = cls._fitting(width, time, label, with_payload, call)
        if not frame or width < WIDTH_FOR_FRAMES:
            return without._outdented(calls)
        with_frames = cls._fitting(width, frame + 2 + time, label, with_payload, call)
        if without.proof and not with_frames.proof:
            return without._outdented(calls)
        return replace(with_frames, frame=frame)._outdented(calls)

    @classmethod
    def _fitting(cls, width: int, time: int, label: int, with_payload: int, call: int) -> Layout:
        free = width - time - 2 - STATE - 1 - 1 - STATE
        needed = max(label + ARROW, LANE_MIN)
        wished = max(needed, min(with_payload + ARROW, LANE_MAX))
        if free - 1 - PROOF_MIN >= needed:
            roomy = free - 1 - wished >= PROOF_MIN
            proof = min(PROOF_MAX, free - 1 - (wished if roomy else needed))
            lane = min(LANE_MAX, free - 1 - proof)
        else:
            proof = 0
            lane = max(min(free, wished), LANE_NARROWEST)
        lacking = time + 2 + STATE + 1 + lane + 1 + call - width
        tight = max(label + ARROW, LANE_TIGHT)
        return cls(width, time, lane - max(0, min(lacking, lane - tight)), proof)

    def _outdented(self, calls: Sequence[int]) -> Layout:
        """Let the right end's calls begin in one column, moved to the left if a call lacks only a little room."""
        lacking = [self.right_start + call - self.width for call in calls]
        return replace(self, outdent=max([0, *(one for one in lacking if one <= OUTDENT)]))

    @property
    def lane_start(self) -> int:
        """Column at which the lane begins."""
        return self.time + 2 + STATE + 1

    @property
    def right_start(self) -> int:
        """Column at which the right end's states begin, and its socket calls."""
        return self.lane_start + self.lane + 1

    @property
    def below(self) -> int:
        """Columns from the start of the lane to the end of the line."""
        return max(self.width - self.lane_start, 20)

    def row(self, time: str, left: Text, lane: Text, right: Text, proof: Text | None = None) -> Text:
        """Put the cells of one line side by side."""
        line = Text(fit_right(time, self.time) + "  ")
        line.append_text(pad(left, STATE)).append(" ")
        line.append_text(pad(lane, self.lane)).append(" ")
        line.append_text(pad(right, STATE))
        if proof is not None:
            line.append(" ").append_text(proof)
        line.rstrip()
        return line

    def from_left(self, time: str, text: Text) -> Text:
        """Place a line that begins where the left end's states do and may run to the end."""
        return Text(fit_right(time, self.time) + "  ").append_text(text)

    def call(self, time: str, text: str, short: str, *, is_right: bool) -> Iterator[Text]:
        """Yield the lines of a socket call of an end: `short`, unless "", where `text` has no room.

        It runs over the lane, which is empty there: of the left end from its states, of the right end from as far to
        the left of its states as it needs. What has no room then either goes on below.
        """
        room = self.width - (self.lane_start if is_right else self.time + 2)
        said = short if short and cell_len(text) > room else text
        for number, part in enumerate(wrap(Text(said, "italic blue"), room)):
            when = "" if number else time
            if is_right:
                start = min(self.right_start - self.outdent, self.width - part.cell_len)
                yield Text(fit_right(when, self.time).ljust(start)).append_text(part)
            else:
                yield self.from_left(when, part)

    def under_arrow(self, text: Text, *, to_right: bool) -> Text:
        """Return what belongs to an arrow and stands below it, as a cell of the lane: on its sender's side."""
        return Text(" " * (2 if to_right else self.lane - 2 - text.cell_len)).append_text(text)

    def under_lane(self, text: Text) -> Text:
        """Place a line that begins where the lane begins and may run to the end."""
        return Text(" " * self.lane_start).append_text(text)


def arrow(label: Text, width: int, *, to_right: bool, arrives: bool, style: str, whole: bool = True) -> Text:
    """Draw `─ label ─────▶` or `◀───── label ─` in `width` columns; ✗ for the head if it is not accepted.

    Not `whole`: it begins on the way, and takes two thirds of the width or what the label needs.
    """
    label = clip(label, width - ARROW)
    length = width if whole else max(width * 2 // 3, label.cell_len + ARROW)
    shaft = "─" * (length - 4 - label.cell_len)
    head = ("▶" if to_right else "◀") if arrives else "✗"
    line = Text()
    if to_right:
        line.append(" " * (width - length))
        line.append("─ ", style).append_text(label).append(" ").append(shaft + head, style)
    else:
        line.append(head + shaft, style).append(" ").append_text(label).append(" ─", style)
    return line


def flow(items: Sequence[Text], width: int, separator: str = SEPARATOR) -> list[Text]:
    """Put items one after another on lines of `width`; an item that is too long is wrapped at its spaces."""
    lines: list[Text] = []
    for item in items:
        if lines and lines[-1].cell_len + len(separator) + item.cell_len <= width:
            lines[-1].append(separator, "dim").append_text(item)
        else:
            lines.extend(wrap(Text().append_text(item), width))
    return lines


def flow_together(groups: Sequence[Sequence[Text]], width: int) -> list[Text]:
    """Do the same with groups of items; a group that fits a line is never broken."""
    lines: list[Text] = []
    for group in groups:
        added = flow(group, width)
        if lines and len(added) == 1 and lines[-1].cell_len + len(SEPARATOR) + added[0].cell_len <= width:
            lines[-1].append(SEPARATOR, "dim").append_text(added[0])
        else:
            lines += added
    return lines


def wrap(text: Text, width: int, indent: int = 2) -> list[Text]:
    """Break `text` at spaces into lines of `width`; every line after the first is indented."""
    width = max(width, indent + 1)
    lines: list[Text] = []
    rest = text.copy()
    room = width
    while rest.cell_len > room:
        cut = _break_at(rest.plain, room)
        line, rest = rest[:cut], rest[cut:]
        line.rstrip()
        lines.append(_indented(line, indent if lines else 0))
        spaces = len(rest.plain) - len(rest.plain.lstrip(" "))
        rest = rest[spaces:]
        room = width - indent
    if rest.plain or not lines:
        lines.append(_indented(rest, indent if lines else 0))
    return lines


def hanging(begin: Text, rest: Text, width: int) -> Iterator[Text]:
    """Yield `begin` and `rest` on one line; what does not fit goes below, where `rest` begins."""
    below = Text(" " * begin.cell_len)
    for number, part in enumerate(wrap(rest, max(width - begin.cell_len, STATE), indent=0)):
        yield Text.assemble(below if number else begin, part)


def pad(text: Text, width: int) -> Text:
    """Return `text` in exactly `width` columns."""
    clipped = clip(text, width)
    clipped.append(" " * (width - clipped.cell_len))
    return clipped


def clip(text: Text, width: int) -> Text:
    """Return `text` cut to `width` columns, with an ellipsis if anything was cut."""
    clipped = text.copy()
    if clipped.cell_len > width:
        clipped.truncate(max(width, 1), overflow="ellipsis")
    return clipped


def fit_right(text: str, width: int) -> str:
    """Return `text` aligned to the right in `width` columns."""
    return " " * (width - cell_len(text)) + text


def _break_at(plain: str, room: int) -> int:
    """Return how many characters of `plain` go on a line of `room` columns: up to a space if there is one."""
    fitting = len(set_cell_size(plain, room).rstrip("\0"))
    fitting = min(fitting, len(plain))
    while fitting > 1 and cell_len(plain[:fitting]) > room:
        fitting -= 1
    if plain[fitting : fitting + 1] == " ":
        return fitting
    space = plain.rfind(" ", 1, fitting)
    return space if space > 0 else max(fitting, 1)


def _indented(text: Text, indent: int) -> Text:
    return Text(" " * indent).append_text(text) if indent else text
