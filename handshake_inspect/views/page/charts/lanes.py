"""A lane for each of few connections: what paper shows, and a page without scripts, of single ones.

In: connections, their phases, and how far the axis reaches. Out: rows of a grid, a name and a lane each.
"""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.over_time.phases import PHASES, Phases
from handshake_inspect.quantities import duration
from handshake_inspect.views.page.charts.drawn import element

#: More than that nobody reads lane by lane.
MOST = 30
#: Height of a lane and of the bar in it, in px; the width at which a bar is still seen, in percent.
HEIGHT, BAR, LEAST = 18, 12, 0.2


def lanes(connections: Connections, phases: Phases, streams: Rows, end_ns: int) -> list[Markup]:
    """Return name and lane of each of these streams, one after the other."""
    found = []
    for one in connections.of_streams(streams):
        row = connections.row_of(one.stream)
        at = np.arange(*np.searchsorted(phases.table["connection"], [row, row + 1]))
        name = f"{one.originator} → :{one.responder.port}"
        link = element("a", name, href=f"#s={one.stream}", title=f"{one.originator} → {one.responder}")
        number = element("span", f"{one.stream}", class_="lane-number")
        found += [element("span", number, link, class_="lane-name"), _lane(phases, at, end_ns, str(one.originator))]
    return found


def _lane(phases: Phases, at: Rows, end_ns: int, name: str) -> Markup:
    begin_ns = phases.captured_ns[0]
    span = end_ns - begin_ns
    told, bars = [], []
    columns = (phases.table[column][at].tolist() for column in ("phase", "begin_ns", "end_ns"))
    for phase, begin, end, until in zip(*columns, phases.until_ns(at, end_ns).tolist(), strict=True):
        told.append(f"{PHASES[phase]} for {duration(end - begin)}")
        x, width = 100 * (begin - begin_ns) / span, max(100 * (until - begin) / span, LEAST)
        place = {"x": f"{x:.3f}%", "width": f"{width:.3f}%"}
        bars.append(element("rect", y=3, height=BAR, class_=f"lane-bar draw-{PHASES[phase]}", **place))
    parts = [element("title", name), element("desc", ", ".join(told) or "no phase is known")]
    return element("svg", *parts, *bars, class_="plot", width="100%", height=HEIGHT, role="img")
