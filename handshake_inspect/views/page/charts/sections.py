"""The charts of the report page, in its order.

In: an inspection, the streams that the page is about, and what a capture cannot tell. Out: `ChartSection`s.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from handshake_inspect.arrays import Rows
from handshake_inspect.inspection import Inspection
from handshake_inspect.tcp.time_wait import PortRange
from handshake_inspect.views.page.charts.half_open import half_open_figure
from handshake_inspect.views.page.charts.openings import openings_figure
from handshake_inspect.views.page.charts.time_wait import time_wait_figure
from handshake_inspect.views.page.charts.timeline import timeline_figure

#: The files of this room that the page needs, in this order.
STYLES = ("charts.css",)
SCRIPTS = ("timeline-phases.js", "timeline-words.js", "timeline-drawing.js", "timeline.js", "narrow.js")


@dataclass(frozen=True)
class ChartSection:
    """One section of the page."""

    id: str
    heading: str
    figure: Markup
    #: The same as words and numbers.
    alternative: Markup
    #: What the page's script draws from, to be embedded as JSON; None: nothing.
    data: dict[str, object] | None = None


def sections(
    inspection: Inspection,
    streams: Rows,
    *,
    listed: Rows | None = None,
    backlog: int | None = None,
    ports: PortRange | None = None,
) -> list[ChartSection]:
    """Return the charts of these streams, rising; those with nothing to show are left out.

    `listed`: those of them that the page can show one by one, rising; None: all. `backlog`: of listen(), if somebody
    knows it. `ports`: those that connect() chooses from; None: of the profile.
    """
    rows = inspection.connections.rows_of(streams)
    found = []
    if timeline := timeline_figure(inspection, streams, streams if listed is None else listed):
        found.append(ChartSection("timeline", "All connections over time", *timeline))
    if half_open := half_open_figure(inspection, rows, backlog):
        found.append(ChartSection("half-open", "Half-open connections by listener", *half_open))
    if time_wait := time_wait_figure(inspection.time_wait_ledger(streams, ports=ports)):
        found.append(ChartSection("time-wait", "TIME-WAITs by host", *time_wait))
    if openings := openings_figure(inspection.connections, rows):
        found.append(ChartSection("openings", "How long handshakes took, by server", *openings))
    return found
