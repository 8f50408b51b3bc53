"""Where the arrows of the state diagram run: from box to box, around those between, each in a line of its own.

In: boxes in layers, and which of them are joined. Out: `Arrow`s, each a run of points with right angles. Read from
top to bottom: a layer of boxes, a channel, the next layer. An arrow leaves the lower edge of the upper box, crosses
each channel by at most one level stretch, passes the layers between its boxes at a free column, and meets the upper
edge of the lower box. Its head stands at either end. Nothing here knows TCP.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations

#: Of a box, in columns and lines, with its border.
BOX_WIDTH, BOX_HEIGHT = 16, 3
#: Columns between two arrows at one box, and between an arrow and a box that it passes.
APART = 4
#: Orders of the level stretches of one channel are all tried up to this number of them.
TRIED_MAX = 6

Point = tuple[int, int]


@dataclass(frozen=True)
class Box:
    """One box; its name is its own."""

    name: str
    #: From 0, from top to bottom.
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
    #: Its column at the lower edge of layer n, and at the upper edge of layer n + 1; equal at a layer that it passes.
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
        """The layers from which it goes down: that of its upper box, and those that it passes."""
        return range(self.upper.layer, self.lower.layer)


def route(boxes: Sequence[Box], arrows: Sequence[Arrow], gap: int) -> list[int]:
    """Give every arrow its points; channels are `gap` lines high, or as high as they must. Returns the lines of layers.

    The line of a layer is the first one of its boxes.
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
    """Choose the columns at which an arrow passes the layers between its boxes: free ones, near where it goes."""
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
    """Spread the arrows that go down from a box over its lower edge, each as near as can be to where it goes."""
    places = spread(box, [arrow.below.get(box.layer, arrow.lower.centre) for arrow in arrows])
    for arrow, column in zip(arrows, places, strict=True):
        arrow.above[box.layer] = column


def enter_above(box: Box, arrows: Sequence[Arrow]) -> None:
    """Spread the arrows that come to a box from above over its upper edge, straight below where they come from."""
    coming = [arrow for arrow in arrows if arrow.lower is box]
    places = spread(box, [arrow.above[box.layer - 1] for arrow in coming])
    others = {arrow.above[box.layer - 1] for arrow in arrows if box.layer - 1 in arrow.above}
    for arrow, column in zip(coming, places, strict=True):
        own = arrow.above[box.layer - 1]
        # A column below another arrow's would make one line of both.
        arrow.below[box.layer - 1] = column if column == own or column not in others else column + 1


def spread(box: Box, wishes: Sequence[int]) -> list[int]:
    """Return a column of the box for each wished one: nearest to it, in the same order, APART from the others."""
    order = sorted(range(len(wishes)), key=lambda number: wishes[number])
    first, last = box.left + 1, box.right - 1
    places = [0] * len(wishes)
    for rank, number in enumerate(order):
        places[number] = min(max(wishes[number], first), last - APART * (len(order) - 1 - rank))
        if rank:
            places[number] = max(places[number], places[order[rank - 1]] + APART)
    return places


def tracks_of(crossing: Sequence[Arrow], layer: int) -> dict[Arrow, int]:
    """Return the line, from 0, that the level stretch of each arrow takes in a channel: where they cross least."""
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
    """Would the level stretches of two arrows touch on one line?"""
    first, last = sorted((one.above[layer], one.below[layer]))
    begin, end = sorted((other.above[layer], other.below[layer]))
    return first <= end + 1 and begin <= last + 1


def crossings(order: Sequence[Arrow], crossing: Sequence[Arrow], layer: int) -> int:
    """Count how often arrows cross in a channel if their level stretches stand in this order, from the top."""
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
