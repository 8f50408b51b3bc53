"""The columns of a line of a joined ladder, and how segments are drawn on it.

In: text and widths. Out: `rich` Text lines. From left to right:

    time  left state  ● lane with the arrow ●  right state  time

A dot stands for what a place saw. The lane between the dots is the path, on which segments are lost or made. On a
narrow terminal there is no second time; on a wide one the frame numbers stand beside both.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from handshake_inspect.views.ladder_layout import ARROW, STATE, fit_right, pad
from handshake_inspect.views.table import cell_width, cut_path

DOT = "●"
#: The lane is never narrower; and it grows to this before anything else is shown beside it.
LANE_MIN, LANE_MAX = 26, 76
#: How much of the lane a segment takes that is lost on the path, or made there.
PART = 2 / 3


@dataclass(frozen=True)
class JoinedLayout:
    """Widths of the columns; 0: it is not shown."""

    width: int
    time: int
    lane: int
    right_time: int
    frame: int

    @classmethod
    def fitting(cls, width: int, *, frame: int, time: int, label: int) -> JoinedLayout:
        """Choose widths for a terminal of `width`, given the widest frame number, time and label."""
        needed = max(label + ARROW, LANE_MIN)
        # Time, state, dot, then the lane, then dot, state.
        free = width - (time + 2 + STATE + 1 + 2) - (2 + 1 + STATE)
        right_time = time if free - 2 - time >= needed else 0
        free -= right_time + 2 if right_time else 0
        with_frames = free - 2 * (frame + 1)
        shown = frame if right_time and with_frames >= needed else 0
        lane = with_frames if shown else free
        return cls(width, time, max(min(lane, LANE_MAX), LANE_MIN), right_time, shown)

    @property
    def lane_start(self) -> int:
        """Column at which the lane begins."""
        return (self.frame + 1 if self.frame else 0) + self.time + 2 + STATE + 1 + 2

    @property
    def label_room(self) -> int:
        """Columns for the words on an arrow."""
        return self.lane - ARROW

    @property
    def below(self) -> int:
        """Columns from the start of the lane to the end of the line."""
        return max(self.width - self.lane_start, 20)

    def row(
        self, left: tuple[str, str, Text], lane: Text, right: tuple[str, str, Text], dots: tuple[str, str] = ("", "")
    ) -> Text:
        """Put the cells of one line side by side. `left`, `right`: frame, time and state of each place."""
        frame, time, state = left
        line = Text(fit_right(frame, self.frame) + " " if self.frame else "")
        line.append(fit_right(time, self.time) + "  ").append_text(pad(state, STATE)).append(" ")
        line.append(dots[0].ljust(1) + " ").append_text(pad(lane, self.lane)).append(" " + dots[1].ljust(1) + " ")
        frame, time, state = right
        line.append_text(pad(state, STATE))
        if self.right_time:
            line.append("  " + fit_right(time, self.right_time))
        if self.frame:
            line.append(" " + fit_right(frame, self.frame))
        line.rstrip()
        return line

    def under_lane(self, text: Text) -> Text:
        """Place a line that begins where the lane begins and may run to the end."""
        return Text(" " * self.lane_start).append_text(text)

    def under_flight(self, label: Text, *, to_right: bool) -> Text:
        """Place what has no room on an arrow, on its sender's side below it."""
        return self.under_lane(Text(" " * (2 if to_right else self.lane - 2 - label.cell_len)).append_text(label))

    def lane_names(self, left: str, right: str) -> Text:
        """Put the names of both places at the ends of the lane, as much of them as fits."""
        left, right = (cut_path(name, (self.lane - 2) // 2) for name in (left, right))
        return Text(left + " " * (self.lane - cell_width(left) - cell_width(right)) + right, "dim")

    def flight(self, label: Text, *, to_right: bool, begins: str, ends: str, style: str) -> Text:
        """Draw a segment on the lane, with a label of at most `label_room`.

        `begins`: "place", where it was sent, "before" if its sending stands further up, or "way" if it was made there.
        `ends`: "place", "later" if its arrival stands further down, or the sign with which it ends on the way.
        """
        whole = begins != "way" and ends in ("place", "later")
        length = self.lane if whole else max(round(self.lane * PART), label.cell_len + ARROW)
        head = {"place": "▶" if to_right else "◀", "later": "╌"}.get(ends, ends)
        tail = "╌" if begins == "before" else "─"
        shaft = ("╌" if ends == "later" else "─") * (length - 4 - label.cell_len)
        parts = [Text(f"{tail} ", style), label, Text(" "), Text(shaft + head, style)]
        if not to_right:
            parts = [Text(head + shaft, style), Text(" "), label, Text(f" {tail}", style)]
        line = Text()
        for part in parts:
            line.append_text(part)
        room = " " * (self.lane - length)
        at_far_end = (begins == "way") == to_right
        return Text(room).append_text(line) if at_far_end else line.append(room)
