"""Half-open connections of each listening socket over time, against its backlog.

In: an inspection, and which connections. Out: a figure and its table.
"""

from __future__ import annotations

from itertools import islice

from markupsafe import Markup

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.connections.over_time.half_open import HalfOpenTally, HoldsHalfOpen
from handshake_inspect.inspection import Inspection
from handshake_inspect.quantities import counted, duration
from handshake_inspect.views.page.charts.drawn import element, plain_table, together
from handshake_inspect.views.page.charts.over_time import PARTS, SHORTEST_NS, Limit, Panel, panel

#: Listeners that are drawn, and that the table names.
DRAWN, LISTED = 6, 30
#: How many listeners are considered for a panel.
LOOKED_AT = 300


def half_open_figure(inspection: Inspection, rows: Rows, backlog: int | None) -> tuple[Markup, Markup] | None:
    """Return the panels of the listeners that held most, and the table of more.

    A listener that held one handshake at a time, and finished each, is not drawn; None if there are no others.
    """
    tally = HalfOpenTally(inspection.connections, inspection.phases, rows)
    known = enumerate(tally.holders(LOOKED_AT))
    listed = {place: one for place, one in known if one.peak > 1 or one.unfinished or backlog is not None}
    if not listed:
        return None
    begin, end = inspection.captured_ns
    end = max(end, begin + SHORTEST_NS)
    panels = [
        Panel(
            name=_name(one),
            query=f"host:{one.ip} port:{one.port}",
            words=f"{_at_most(one, begin)}{_of_them(one)}",
            sentence="half-open connections over time",
            role="half-open",
            counts=tally.over_time(place, begin, end, PARTS),
            end_ns=end - begin,
            captured_ns=end - begin,
            peak=one.peak,
            peak_ns=one.peak_ns - begin,
            limit=None if backlog is None else Limit(backlog, f"backlog {backlog:,}", one.peak >= backlog),
        )
        for place, one in islice(listed.items(), DRAWN)
    ]
    more = len(tally) - len(panels)
    figure = [element("div", *map(panel, panels), class_="panels")]
    if more > 0:
        figure.append(
            element(
                "p", f"{counted(more, 'more listener')} {'is' if more == 1 else 'are'} not drawn.", class_="chart-note"
            )
        )
    if backlog is None:
        told = "A capture cannot tell the backlog of listen(): report --backlog N draws it as a line."
        figure.append(element("p", told, class_="chart-note"))
    return together(figure), _table(list(islice(listed.values(), LISTED)), len(tally), begin)


def _name(one: HoldsHalfOpen) -> str:
    socket = Endpoint(one.ip, one.port)
    return f"{socket} in {one.tunnel}" if one.tunnel else str(socket)


def _at_most(one: HoldsHalfOpen, begin_ns: int) -> str:
    return f"at most {one.peak:,} at once, at {duration(one.peak_ns - begin_ns)}"


def _of_them(one: HoldsHalfOpen) -> str:
    said = [f"{one.left:,} of {one.connections:,} got no further"] if one.left else []
    said += [f"{one.abandoned:,} ended with an RST"] if one.abandoned else []
    said += [f"{one.unanswered:,} more unanswered"] if one.unanswered else []
    return f"; {', '.join(said)}" if said else ""


def _counts(one: HoldsHalfOpen) -> list[str]:
    return [f"{count:,}" for count in (one.connections, one.left, one.abandoned, one.unanswered)]


def _table(listed: list[HoldsHalfOpen], count: int, begin_ns: int) -> Markup:
    caption = f"Half-open connections by listener: {counted(count, 'listener')}"
    titles = (
        "Listener",
        "Most at once",
        "Reached after",
        "Handshakes",
        "Got no further",
        "Ended with an RST",
        "Unanswered",
    )
    return plain_table(
        caption if count <= len(listed) else f"{caption}, the first {len(listed)}",
        titles,
        ((_name(one), f"{one.peak:,}", duration(one.peak_ns - begin_ns), *_counts(one)) for one in listed),
    )
