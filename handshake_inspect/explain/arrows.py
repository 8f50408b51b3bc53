"""Routes the arrows of the state diagram: from box to box, around the boxes between, without sharing a line.

In: boxes in layers, and the pairs of boxes that are joined. Out: `Arrow`s, each a polyline with right angles. From top
to bottom: a layer of boxes, a channel, the next layer. An arrow leaves the lower edge of the upper box, crosses each
channel with at most one horizontal segment, passes the layers between its boxes at a free column, and meets the upper
edge of the lower box. Its head is at either end. Nothing here depends on TCP.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations

#: Size of a box in columns and lines, with its border.
BOX_WIDTH, BOX_HEIGHT = 16, 3
#: Columns between two arrows at one box, and between an arrow and a box that it passes.
APART = 4
#: Up to this number of horizontal segments in a channel all their orders are tried.
TRIED_MAX = 6

Point = tuple[int, int]


@dataclass(frozen=True)
class Box:
    """One box, with a unique name."""

    name: str
    #: Index of its layer, from 0 at the top.
    layer: int
    #: Its middle column.
    centre: int

    @property
    def left(self) -> int:
        """Its leftmost column."""
        return self.centre - BOX_WIDTH // 2

    @property
    def right(self) -> int:
        """Its rightmost column."""
        return self.left + BOX_WIDTH - 1


@dataclass(eq=False)
class Arrow:
    """One arrow between boxes of different layers."""

    tail: Box
    head: Box
    label: str
    is_dashed: bool = False
    #: By n, its column at the lower edge of layer n, and at the upper edge of layer n + 1; equal at a layer it passes.
    above: dict[int, int] = field(default_factory=dict)
    below: dict[int, int] = field(default_factory=dict)
    #: (column, line) of its ends and corners, from top to bottom.
    points: list[Point] = field(default_factory=list)

    @property
    def upper(self) -> Box:
        """The box at its upper end."""
        return min(self.tail, self.head, key=lambda box: box.layer)

    @property
    def lower(self) -> Box:
        """The box at its lower end."""
        return max(self.tail, self.head, key=lambda box: box.layer)

    @property
    def layers(self) -> range:
        """The layers below which it crosses a channel: that of its upper box, and those that it passes."""
        return range(self.upper.layer, self.lower.layer)


def route(boxes: Sequence[Box], arrows: Sequence[Arrow], gap: int) -> list[int]:
    """Set the points of every arrow; channels are `gap` lines high, or higher if needed. Returns the lines of layers.

    The line of a layer is the top line of its boxes.
    """
    for arrow in sorted(arrows, key=lambda one: len(one.layers)):
        pass_layers(arrow, boxes, arrows)
    for box in boxes:
        leave_below(box, [arrow for arrow in arrows if arrow.upper is box])
    for box in boxes:
        enter_above(box, arrows)
    tops = [0]
    for layer in range(max(box.layer for box in boxes)):
        crossing = [arrow for arrow in arrows if layer in arrow.layers]
        tracks = tracks_of(crossing, layer)
        begin = tops[-1] + BOX_HEIGHT
        tops.append(begin + max(gap, max([0, *tracks.values()]) + 3))
        for arrow in crossing:
            above, below = arrow.above[layer], arrow.below[layer]
            arrow.points += [(above, begin)] if not arrow.points else []
            if above != below:
                turn = begin + 1 + tracks[arrow]
                arrow.points += [(above, turn), (below, turn)]
            if layer + 1 == arrow.lower.layer:
                arrow.points.append((below, tops[-1] - 1))
    return tops


def pass_layers(arrow: Arrow, boxes: Sequence[Box], arrows: Sequence[Arrow]) -> None:
    """Choose the columns at which an arrow passes the layers between its boxes: free ones, near its target."""
    wanted = arrow.lower.centre
    for layer in arrow.layers[1:]:
        in_layer = [box for box in boxes if box.layer == layer]
        taken = [other.above[layer] for other in arrows if layer in other.above]
        free = (
            column
            for away in range(10 * BOX_WIDTH)
            for column in (wanted - away, wanted + away)
            if all(not box.left - APART < column < box.right + APART for box in in_layer)
            and all(abs(column - other) >= APART for other in taken)
            and column > 0
        )
        arrow.above[layer] = arrow.below[layer - 1] = wanted = next(free)


def leave_below(box: Box, arrows: Sequence[Arrow]) -> None:
    """Spread the arrows that leave a box downwards over its lower edge, each as near as possible to its target."""
    places = spread(box, [arrow.below.get(box.layer, arrow.lower.centre) for arrow in arrows])
    for arrow, column in zip(arrows, places, strict=True):
        arrow.above[box.layer] = column


def enter_above(box: Box, arrows: Sequence[Arrow]) -> None:
    """Spread the arrows that meet a box from above over its upper edge, straight below their origins."""
    coming = [arrow for arrow in arrows if arrow.lower is box]
    places = spread(box, [arrow.above[box.layer - 1] for arrow in coming])
    others = {arrow.above[box.layer - 1] for arrow in arrows if box.layer - 1 in arrow.above}
    for arrow, column in zip(coming, places, strict=True):
        own = arrow.above[box.layer - 1]
        # In the column of another arrow both would look like one line.
        arrow.below[box.layer - 1] = column if column == own or column not in others else column + 1


def spread(box: Box, wishes: Sequence[int]) -> list[int]:
    """Return for each wished column the nearest column of the box, in the same order and APART from the others."""
    order = sorted(range(len(wishes)), key=lambda number: wishes[number])
    first, last = box.left + 1, box.right - 1
    places = [0] * len(wishes)
    for rank, number in enumerate(order):
        places[number] = min(max(wishes[number], first), last - APART * (len(order) - 1 - rank))
        if rank:
            places[number] = max(places[number], places[order[rank - 1]] + APART)
    return places


def tracks_of(crossing: Sequence[Arrow], layer: int) -> dict[Arrow, int]:
    """Return the line, from 0, of each arrow's horizontal segment in a channel, with the fewest crossings."""
    level = [arrow for arrow in crossing if arrow.above[layer] != arrow.below[layer]]
    orders: Iterable[Sequence[Arrow]] = permutations(level) if len(level) <= TRIED_MAX else [level]
    best = min(orders, key=lambda order: crossings(order, crossing, layer), default=())
    tracks: dict[Arrow, int] = {}
    for place, arrow in enumerate(best):
        earlier = best[:place]
        beside = [tracks[other] for other in earlier if overlap(arrow, other, layer)]
        tracks[arrow] = max(beside, default=-1) + 1
    return tracks


def overlap(one: Arrow, other: Arrow, layer: int) -> bool:
    """Would the horizontal segments of two arrows touch on one line?"""
    first, last = sorted((one.above[layer], one.below[layer]))
    begin, end = sorted((other.above[layer], other.below[layer]))
    return first <= end + 1 and begin <= last + 1


def crossings(order: Sequence[Arrow], crossing: Sequence[Arrow], layer: int) -> int:
    """Count the crossings of arrows in a channel for this order of their horizontal segments, from the top."""
    straight = [arrow for arrow in crossing if arrow not in order]
    count = 0
    for arrow in order:
        first, last = sorted((arrow.above[layer], arrow.below[layer]))
        count += sum(first < other.above[layer] < last for other in straight)
    for upper, lower in combinations(order, 2):
        first, last = sorted((upper.above[layer], upper.below[layer]))
        begin, end = sorted((lower.above[layer], lower.below[layer]))
        count += (first <= lower.above[layer] <= last) + (begin <= upper.below[layer] <= end)
    return count
