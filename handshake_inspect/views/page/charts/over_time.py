"""One panel: how many at once, over time. A staircase of maxima, a limit as a line, the peak marked.

In: `Panel`, whose counts are the highest of equal parts of time, so that no peak is lost. Out: its markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from handshake_inspect.views.page.charts.drawn import Attribute, element, narrowing, together
from handshake_inspect.views.page.charts.scales import Tick, count_ticks, time_ticks

#: Into how many parts of equal length time is cut: more than that no screen shows.
PARTS = 300
#: A capture of one moment has an axis all the same, this long.
SHORTEST_NS = 1_000_000
#: Height of the plot, the room above it and that of the axis below it, in px.
HEIGHT, ABOVE, BELOW = 104, 20, 22
#: A grid line so near below a limit has no number, in px.
CLOSE = 15
#: A limit that lies higher than so many times the peak is only hinted at: else the curve would be flat.
WITHIN = 4


@dataclass(frozen=True, slots=True)
class Limit:
    """A line below which the curve should stay."""

    count: int
    words: str
    #: Was it reached, so that there was no room for one more?
    is_reached: bool = False


@dataclass(frozen=True)
class Panel:
    """How many at once, of one host or listener."""

    #: "10.0.0.1:80", what the page's filter calls its connections, and what is to be said of it.
    name: str
    query: str
    words: str
    #: What the picture shows, in a sentence.
    sentence: str
    #: Role of the palette whose colour it has.
    role: str
    counts: Sequence[int]
    #: When the axis ends, and until when was captured: distances from the first moment, in ns.
    end_ns: int
    captured_ns: int
    peak: int
    peak_ns: int
    limit: Limit | None = None


def panel(one: Panel) -> Markup:
    """Draw a panel."""
    head = element(
        "p", element("b", narrowing(one.name, one.query)), " ", element("span", one.words), class_="panel-head"
    )
    return element("div", head, _plot(one), class_="panel")


def _plot(one: Panel) -> Markup:
    limit = one.limit
    is_near = limit is not None and limit.count <= WITHIN * max(one.peak, 1)
    top = max(one.peak, limit.count if limit and is_near else 0, 1)
    bottom = ABOVE + HEIGHT

    def height(count: int) -> float:
        return bottom - HEIGHT * count / top

    limit_at = None if limit is None else height(limit.count) if is_near else ABOVE
    shaded, where = _after_capture(one, bottom)
    parts = [element("title", f"{one.name}: {one.sentence}"), element("desc", one.words), shaded]
    for count in count_ticks(top):
        y = height(count)
        is_named = limit_at is None or not 0 <= y - limit_at < CLOSE  # its number would stand on the line
        parts.append(_grid_line(y, f"{count:,}" if is_named else ""))
    parts += [_curve(one, top), where]
    if limit is not None and limit_at is not None:
        parts += _limit(limit, limit_at, is_near=is_near)
    parts += [_peak(one, height(one.peak)), *time_axis(time_ticks(one.end_ns), bottom)]
    return element("svg", *parts, class_="plot", width="100%", height=bottom + BELOW, role="img")


def staircase(counts: Sequence[int], top: int, height: int) -> tuple[Markup, Markup]:
    """Return the area under counts of equal parts of time, and its upper edge: stretched to the width there is."""
    x, edge = 0, []
    for count, same in groupby(counts):
        x += len(list(same))
        edge.append(f"V{height - height * count / top:.5g}H{x}")
    upper = f"M0 {height}{''.join(edge)}"
    area = element("path", d=f"{upper}V{height}Z", class_="area")
    return area, element("path", d=upper, class_="edge", vector_effect="non-scaling-stroke")


def time_axis(ticks: Sequence[Tick], y: float) -> list[Markup]:
    """Return the line of an axis and its ticks."""
    parts = [element("line", x1=0, x2="100%", y1=y, y2=y, class_="axis")]
    for tick in ticks:
        place = f"{100 * tick.place:.3f}%"
        spare = " spare" if tick.is_spare else ""
        anchor = "start" if tick.place < 0.03 else "end" if tick.place > 0.97 else "middle"
        parts.append(element("line", x1=place, x2=place, y1=y, y2=y + 4, class_=f"axis{spare}"))
        parts.append(element("text", tick.words, x=place, y=y + 17, text_anchor=anchor, class_=f"tick{spare}"))
    return parts


def _curve(one: Panel, top: int) -> Markup:
    return element(
        "svg",
        *staircase(one.counts, top, HEIGHT),
        x=0,
        y=ABOVE,
        width="100%",
        height=HEIGHT,
        viewBox=f"0 0 {len(one.counts)} {HEIGHT}",
        preserveAspectRatio="none",
        class_=f"curve draw-{one.role}",
    )


def _grid_line(y: float, words: str) -> Markup:
    return together(
        [
            element("line", x1=0, x2="100%", y1=y, y2=y, class_="grid"),
            element("text", words, x=0, y=y - 4, class_="tick"),
        ]
    )


def _after_capture(one: Panel, bottom: int) -> tuple[Markup, Markup]:
    """Shade what lies behind the last frame, where nothing is known but what the profile says; and say so."""
    share = one.captured_ns / max(one.end_ns, 1)
    if share >= 1:
        return Markup(""), Markup("")
    x = f"{100 * share:.3f}%"
    words_at: dict[str, Attribute] = {"x": x, "dx": 6} if share < 0.8 else {"x": x, "dx": -6, "text_anchor": "end"}
    shaded = element("rect", x=x, y=ABOVE, width=f"{100 * (1 - share):.3f}%", height=HEIGHT, class_="beyond")
    where = [
        element("line", x1=x, x2=x, y1=ABOVE, y2=bottom, class_="capture-end"),
        element("text", "capture ends", y=ABOVE + 15, class_="tick", **words_at),
    ]
    return shaded, together(where)


def _limit(limit: Limit, y: float, *, is_near: bool) -> list[Markup]:
    """Draw a limit at its height or, if it is out of reach, as a hint at the upper edge."""
    kind = " reached" if limit.is_reached else "" if is_near else " far"
    words = limit.words if is_near else f"{limit.words} ↑"
    return [
        element("line", x1=0, x2="100%", y1=y, y2=y, class_=f"limit{kind}"),
        # Above the line, unless the curve is there.
        element(
            "text",
            words,
            x="100%",
            y=y + 15 if limit.is_reached else y - 5,
            text_anchor="end",
            class_=f"limit-words{kind}",
        ),
    ]


def _peak(one: Panel, y: float) -> Markup:
    share = one.peak_ns / max(one.end_ns, 1)
    return element("circle", cx=f"{100 * min(max(share, 0), 1):.3f}%", cy=y, r=3.5, class_=f"peak draw-{one.role}")
