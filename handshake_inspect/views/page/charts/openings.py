"""How long handshakes took, by server: two histograms back to back on one logarithmic axis.

In: an inspection's connections, and which of them. Out: a figure and its table. Above the line SYN to SYN-ACK, below it
SYN to the third segment: where the capture was taken near the client both are the round trip, near the server the
first is hardly anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.over_time.openings import QUANTILES, HandshakeTimes, ServerTimes
from handshake_inspect.quantities import counted, duration
from handshake_inspect.views.page.charts.drawn import Attribute, element, narrowing, plain_table, together
from handshake_inspect.views.page.charts.over_time import time_axis
from handshake_inspect.views.page.charts.scales import decade_ticks, log_place, short_duration

#: Servers that are drawn, and that the table names.
DRAWN, LISTED = 8, 30
#: Height of one histogram, and of the band between the two, in px.
HEIGHT, BAND = 26, 14


@dataclass(frozen=True)
class _Measured:
    """One of the two histograms."""

    words: str
    role: str
    times: HandshakeTimes
    by_server: dict[int, ServerTimes]


def openings_figure(connections: Connections, rows: Rows) -> tuple[Markup, Markup] | None:
    """Return the histograms of the servers that were measured most often, and the table; None if none was."""
    times = [HandshakeTimes(connections, rows, one) for one in ("syn_to_syn_ack_ns", "initial_rtt_ns")]
    servers = list(dict.fromkeys(number for one in times for number in one.numbers(LISTED).tolist()))[:LISTED]
    answer = _measured("SYN to SYN-ACK", "half-open", times[0], servers)
    whole = _measured("SYN to third segment", "open", times[1], servers)
    count = len(np.union1d(*(one.numbers() for one in times)))
    edges = answer.times.edges_ns + whole.times.edges_ns
    if not edges:
        return None
    low, high = min(edges), max(edges)
    drawn = [_server(key, answer, whole, low, high) for key in servers[:DRAWN]]
    figure = [
        element(
            "p", _key("key-above draw-half-open", "above", answer), _key("draw-open", "below", whole), class_="key"
        ),
        element("div", *drawn, _axis(low, high), class_="servers"),
    ]
    if count > DRAWN:
        more = counted(count - DRAWN, "more server")
        figure.append(element("p", f"{more} were measured less often.", class_="chart-note"))
    ambiguous = max(answer.times.ambiguous, whole.times.ambiguous)
    if ambiguous:
        left_out = "left out: a SYN or a SYN-ACK was repeated, so that nobody can tell which one was answered."
        figure.append(element("p", f"{counted(ambiguous, 'handshake')} {left_out}", class_="chart-note"))
    return together(figure), _table(servers, count, (answer, whole))


def _measured(words: str, role: str, times: HandshakeTimes, servers: Sequence[int]) -> _Measured:
    return _Measured(words, role, times, {key: one for key in servers if (one := times.server(key))})


def _key(class_: str, where: str, one: _Measured) -> Markup:
    return element("span", element("i", class_=f"swatch {class_}"), f"{where}: {one.words}", class_="key-entry")


def _server(key: int, answer: _Measured, whole: _Measured, low: int, high: int) -> Markup:
    known = answer.by_server.get(key) or whole.by_server[key]
    name = _name(known)
    words = [f"{one.words}: {_in_words(one.by_server[key])}" for one in (answer, whole) if key in one.by_server]
    count = max(one.by_server[key].measured for one in (answer, whole) if key in one.by_server)
    medians = " · ".join(
        f"median {short_duration(one.by_server[key].median_ns)} to {'SYN-ACK' if one is answer else 'third segment'}"
        for one in (answer, whole)
        if key in one.by_server
    )
    link = narrowing(name, f"host:{known.server.ip} port:{known.server.port}")
    head = element(
        "p", element("b", link), " ", element("span", f"{counted(count, 'handshake')} · {medians}"), class_="panel-head"
    )
    parts = [element("title", f"{name}: how long handshakes took"), element("desc", "; ".join(words))]
    parts += [element("line", x1=x, x2=x, y1=0, y2="100%", class_="grid") for x in _places(low, high)]
    middle = HEIGHT + BAND / 2
    parts.append(element("line", x1=0, x2="100%", y1=middle, y2=middle, class_="grid"))
    for one, y, up in ((answer, HEIGHT, True), (whole, HEIGHT + BAND, False)):
        if key in one.by_server:
            parts += _histogram(one, one.by_server[key], low, high, y, up=up)
    plot = element("svg", *parts, class_="plot", width="100%", height=2 * HEIGHT + BAND, role="img")
    return element("div", head, plot, class_="server")


def _histogram(one: _Measured, server: ServerTimes, low: int, high: int, y: float, *, up: bool) -> list[Markup]:
    """Draw how many took as long as bars, and the quantiles as a line: 10 to 90 %, thick 25 to 75 %, the median."""
    edges, top = one.times.edges_ns, max(server.histogram)
    found = []
    for place, count in enumerate(server.histogram):
        if count:
            x, end = (100 * log_place(edges[place + k], low, high) for k in (0, 1))
            tall = max(HEIGHT * count / top, 1.5)
            bar: dict[str, Attribute] = {
                "x": f"{x:.3f}%",
                "width": f"{end - x:.3f}%",
                "y": y - tall if up else y,
                "height": tall,
            }
            found.append(element("rect", class_=f"bar-{one.role}", **bar))
    at = {share: 100 * log_place(ns, low, high) for share, ns in zip(QUANTILES, server.quantiles_ns, strict=True)}
    line = y + BAND / 4 if up else y - BAND / 4
    for begin, end, class_ in ((10, 90, "most"), (25, 75, "half")):
        span: dict[str, Attribute] = {"x1": f"{at[begin]:.3f}%", "x2": f"{at[end]:.3f}%", "y1": line, "y2": line}
        found.append(element("line", class_=f"{class_} draw-{one.role}", **span))
    return [*found, element("circle", cx=f"{at[50]:.3f}%", cy=line, r=3.2, class_=f"peak draw-{one.role}")]


def _places(low: int, high: int) -> list[str]:
    return [f"{100 * tick.place:.3f}%" for tick in decade_ticks(low, high)]


def _axis(low: int, high: int) -> Markup:
    return element(
        "svg",
        *time_axis(decade_ticks(low, high), 0.5),
        class_="plot servers-axis",
        width="100%",
        height=22,
        aria_hidden="true",
    )


def _name(one: ServerTimes) -> str:
    return f"{one.server} in {one.tunnel}" if one.tunnel else str(one.server)


def _in_words(one: ServerTimes) -> str:
    return (
        f"half of {one.measured:,} within {duration(one.median_ns)}, "
        f"90 % within {duration(one.quantiles_ns[QUANTILES.index(90)])}"
    )


def _table(servers: Sequence[int], count: int, measured: Sequence[_Measured]) -> Markup:
    shares = ("Shortest", *(f"{share} %" for share in QUANTILES[1:-1]), "Longest")
    rows = [
        (
            _name(found),
            one.words,
            f"{found.measured:,}",
            f"{found.ambiguous:,}",
            *map(short_duration, found.quantiles_ns),
        )
        for key in servers
        for one in measured
        if (found := one.by_server.get(key))
    ]
    caption = f"Handshakes by server: {counted(count, 'server')}"
    if count > len(servers):
        caption += f", the first {len(servers)}"
    return plain_table(caption, ("Server", "From, to", "Measured", "Not (repeated)", *shares), rows)
