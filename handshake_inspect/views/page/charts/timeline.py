"""All connections by phase, over time: what stands on the page without a script, and what its script zooms into.

In: an inspection, and the streams on the page. Out: a figure, its table, and the data for `timeline.js`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.over_time.attempts import HELD_NS
from handshake_inspect.connections.over_time.phases import PHASES, TIME_WAIT, Phases
from handshake_inspect.inspection import Inspection
from handshake_inspect.quantities import counted, duration
from handshake_inspect.tcp.time_wait import SECOND_NS
from handshake_inspect.views.page.charts.drawn import element, plain_table
from handshake_inspect.views.page.charts.lanes import MOST, lanes
from handshake_inspect.views.page.charts.over_time import PARTS, SHORTEST_NS, staircase, time_axis
from handshake_inspect.views.page.charts.packed import packed_phases
from handshake_inspect.views.page.charts.scales import time_ticks

#: Height of the row of one phase, in px.
HEIGHT = 26
HINT = (
    "A click chooses a connection. Drag to move; + and −, or the wheel once this has the focus, zoom. A window can be "
    "drawn over the rows of phases; a click on a phase hides it."
)
#: What is said of attempts to connect that nobody finished.
GIVING_UP = (
    "No capture shows when an end gives up: they count until it ends, or as long "
    f"as Linux keeps them: {HELD_NS // SECOND_NS} s after the SYN-ACK or, if none came, after the last SYN."
)
#: Behind the last frame so much of the axis shows what goes on.
TAIL = 0.06


@dataclass(frozen=True)
class _Seen:
    """One phase of many connections."""

    phase: int
    connections: int
    peak: int
    #: Distance from the first moment, in ns.
    peak_ns: int
    counts: list[int]

    @property
    def name(self) -> str:
        return "TIME-WAIT" if self.phase == TIME_WAIT else PHASES[self.phase]


def timeline_figure(
    inspection: Inspection, streams: Rows, listed: Rows
) -> tuple[Markup, Markup, dict[str, object]] | None:
    """Return the rows of all phases, their table, and the data of the connections that are listed; None without any."""
    if not len(streams):
        return None
    phases, connections = inspection.phases, inspection.connections
    begin, captured = phases.captured_ns
    end = max(captured + round((captured - begin) * TAIL), begin + SHORTEST_NS)
    wanted = np.zeros(len(connections), np.bool_)
    wanted[connections.rows_of(streams)] = True
    seen = _seen(phases, wanted, begin, end)
    parts = [_overview(seen, end - begin, captured - begin)]
    if 1 < len(streams) <= MOST:
        parts.append(element("div", *lanes(connections, phases, streams, end), class_="phases lanes"))
    parts.append(_explorer())
    unfinished, most = phases.unfinished(np.flatnonzero(wanted[phases.table["connection"]]), end)
    if unfinished:
        said = f"{counted(unfinished, 'attempt')} to connect stayed unfinished, at most {most:,} at once. {GIVING_UP}"
        parts.append(element("p", said, class_="chart-note"))
    figure = element("div", *parts, class_="timeline")
    data = {
        "phases": ["TIME-WAIT" if one == "time-wait" else one for one in PHASES],
        "classes": [f"draw-{one}" for one in PHASES],
        "end_ns": end - begin,
        "captured_ns": captured - begin,
        "packed": packed_phases(connections, phases, listed),
    }
    return figure, _table(seen, len(streams)), data


def _seen(phases: Phases, wanted: Mask, begin: int, end: int) -> list[_Seen]:
    table = phases.table
    rows = np.flatnonzero(wanted[table["connection"]])
    counted_at = phases.at_once(rows, end)
    found = []
    for phase in range(len(PHASES)):
        mine = len(np.unique(table["connection"][rows[table["phase"][rows] == phase]]))
        if mine:
            peak, peak_ns = int(counted_at.peak[phase]), int(counted_at.peak_ns[phase])
            counts = counted_at.over_time(phase, begin, end, PARTS).tolist()
            found.append(_Seen(phase, mine, peak, max(peak_ns - begin, 0), counts))
    return found


def _overview(seen: list[_Seen], end_ns: int, captured_ns: int) -> Markup:
    """Draw each phase as a row of its own, as high as it was frequent: rows are not compared with each other."""
    rows = [part for one in seen for part in (_name(one), _row(one, end_ns, captured_ns))]
    axis = element(
        "svg", *time_axis(time_ticks(end_ns), 0.5), class_="plot", width="100%", height=22, aria_hidden="true"
    )
    end = element("span", "", class_="phase-name")
    return element("div", *rows, end, element("div", axis, class_="phase-axis"), class_="phases")


def _name(one: _Seen) -> Markup:
    swatch = element("i", class_=f"swatch draw-{PHASES[one.phase]}")
    peak = element("span", element("span", "max ", class_="phase-most"), f"{one.peak:,}", class_="phase-peak")
    label = f"{one.name}, at most {one.peak:,} at once: show in the timeline"
    words = (swatch, one.name, " ", peak)
    return element("button", *words, class_="phase-name", data_phase=one.phase, aria_pressed="true", aria_label=label)


def _row(one: _Seen, end_ns: int, captured_ns: int) -> Markup:
    share = 100 * captured_ns / end_ns
    curve = element(
        "svg",
        *staircase(one.counts, max(one.peak, 1), HEIGHT - 4),
        y=4,
        width="100%",
        height=HEIGHT - 4,
        viewBox=f"0 0 {len(one.counts)} {HEIGHT - 4}",
        preserveAspectRatio="none",
        class_=f"curve draw-{PHASES[one.phase]}",
    )
    parts = [
        element("title", f"{one.name}: at most {counted(one.peak, 'connection')} at once"),
        element(
            "desc", f"{counted(one.connections, 'connection')} in all; {duration(one.peak_ns)} after the first frame"
        ),
        element("rect", x=f"{share:.3f}%", width=f"{100 - share:.3f}%", height="100%", class_="beyond"),
        curve,
        element("line", x1=0, x2="100%", y1=HEIGHT - 0.5, y2=HEIGHT - 0.5, class_="grid"),
    ]
    return element("svg", *parts, class_="plot phase-row", width="100%", height=HEIGHT, role="img")


def _explorer() -> Markup:
    """Return the elements that the script fills: buttons, a canvas for single connections, and a line of words."""

    def button(do: str, words: str, label: str) -> Markup:
        return element("button", words, type="button", class_="quiet", data_do=do, aria_label=label, title=label)

    buttons = [
        button("in", "+", "Zoom in (+)"),
        button("out", "−", "Zoom out (-)"),
        button("all", "All", "Show all (0)"),
        button("narrow", "Filter to this window", "Filter the table to connections of this window"),
    ]
    said = element("output", "", class_="timeline-said")
    line = element("div", *buttons, said, class_="timeline-line controls")
    label = "Connections over time. Arrow keys move, plus and minus zoom, up and down go through connections."
    canvas = element("canvas", "", tabindex=0, role="img", aria_label=label)
    tip = element("div", "", class_="timeline-tip", hidden=True)
    stage = element("div", canvas, tip, class_="timeline-stage")
    hint = element("p", HINT, class_="timeline-hint controls")
    return element("div", line, stage, hint, class_="timeline-explorer needs-script", id="timeline-explorer")


def _table(seen: list[_Seen], count: int) -> Markup:
    rows = ((one.name, f"{one.connections:,}", f"{one.peak:,}", duration(one.peak_ns)) for one in seen)
    caption = f"{counted(count, 'connection')} by phase"
    return plain_table(caption, ("Phase", "Connections", "Most at once", "Reached after"), rows)
