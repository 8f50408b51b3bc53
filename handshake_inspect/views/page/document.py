"""All parts -> the page: one HTML file with its data, its style and its script in it.

In: an inspection, the connections chosen of it, and what the command line was. Out: pieces of text, in order; the
ladders come last, when the browser has drawn the rest already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from handshake_inspect.exchanges import Exchange
from handshake_inspect.inspection import Inspection
from handshake_inspect.tcp.time_wait import PortRange
from handshake_inspect.views.escape import printable
from handshake_inspect.views.page import parts
from handshake_inspect.views.page.captured import captured
from handshake_inspect.views.page.charts.sections import sections
from handshake_inspect.views.page.columns import COLUMNS, first_rows, listed_streams, table_data
from handshake_inspect.views.page.embedded import json_for_script
from handshake_inspect.views.page.glance import glance
from handshake_inspect.views.page.ladders import CHUNK, CallsOf, Ladders
from handshake_inspect.views.page.packing import SHAPES_IN_BLOCK
from handshake_inspect.views.table import exchange_columns, rows
from handshake_inspect.views.words import assumption

#: Rows and ladders that stand in the page itself, for readers without scripts.
FIRST_ROWS, FIRST_LADDERS = 200, 10
#: UDP exchanges that are listed.
EXCHANGES_LISTED = 200
#: What the filter of the page understands (`js/filter.js`).
FILTER_WORDS = (
    ("host:10.0.0.1 10.0.0.0/8", "an end has this address, or this name; an end lies in this network"),
    ("port:443 port:8000-8099", "an end has this port, or one of these"),
    ("opening:refused closing:aborted", "the kind of the opening, of the closing (also opened:, closed:)"),
    ("finding:half-open severity:warn", "this was found"),
    ("state:TIME-WAIT", "an end was last seen in this state"),
    ("rtt:>10ms lasted:1s-2s", "time from SYN to the third segment; from the first segment to the last"),
    ("octets:>10000 segments:<4", "of both ends together"),
    ("since:1.5s until:2s", "it still went on then; it had begun by then, counted from the first frame"),
    ("capture:a.pcap #12 s:12-20", "the name of its capture holds this; its number"),
    ('"a:b"', "searched as it stands"),
)


@dataclass(frozen=True)
class PageRequest:
    """What the page is about."""

    #: All connections that were chosen, rising.
    streams: NDArray[np.int64]
    #: UDP exchanges that were chosen.
    exchanges: Sequence[Exchange]
    #: By which options: "--port 8000"; "" for all.
    said: str
    #: Connections that are listed, at most.
    limit: int
    #: What shows the same captures on a terminal: "show capture.pcap"; "" if nothing does.
    command: str
    version: str
    #: Of listen(), if somebody knows it; None: no capture tells.
    backlog: int | None = None
    #: Those that connect() chooses from; None: those of the profile.
    ports: PortRange | None = None
    #: Files that could not be read, each with the reason.
    unread: Sequence[str] = ()
    #: Returns the socket calls of a connection; None: none are known.
    calls_of: CallsOf | None = None
    #: How many processes work; None: one for each core.
    jobs: int | None = None


def document(inspection: Inspection, wanted: PageRequest) -> Iterator[str]:
    """Yield the page, piece by piece."""
    listed = listed_streams(inspection.connections, wanted.streams, wanted.limit)
    exchanges = list(rows(wanted.exchanges[:EXCHANGES_LISTED], exchange_columns()))
    table = table_data(inspection, listed, _begin_ns(inspection))
    at_a_glance = glance(inspection, wanted.streams, whole=len(wanted.streams) == len(inspection.connections))
    ladders, first = Ladders(inspection, listed, wanted.calls_of), listed[:FIRST_LADDERS]
    packed = ladders.packed(wanted.jobs)
    begun = list(islice(packed, 1))  # other processes draw while the rest is made here
    packing = {"ladders_in_part": CHUNK, "shapes_in_part": SHAPES_IN_BLOCK}
    page = _environment().get_template("page.html")
    yield from page.generate(
        version=wanted.version,
        said=wanted.said,
        policy=Markup(parts.policy()),
        style=Markup(parts.style()),
        first_script=Markup(parts.first_script()),
        script=Markup(parts.script()),
        captured=captured(inspection, len(wanted.streams), len(wanted.exchanges), unread=wanted.unread),
        glance=at_a_glance,
        charts=sections(inspection, wanted.streams, listed=listed, backlog=wanted.backlog, ports=wanted.ports),
        json_for_script=json_for_script,
        columns=COLUMNS,
        first_rows=list(first_rows(inspection.connections, listed[:FIRST_ROWS], _begin_ns(inspection))),
        unshown=max(0, len(listed) - FIRST_ROWS),
        unlisted=len(wanted.streams) - len(listed),
        filter_words=FILTER_WORDS,
        first_ladders=list(zip(first.tolist(), map(Markup, ladders.of(first)), strict=True)),
        exchange_titles=[column.title for column in exchange_columns()],
        exchanges=exchanges,
        more_exchanges=len(wanted.exchanges) - len(exchanges),
        assumption=assumption(inspection.connections.profile),
        command=wanted.command,
        table_data=json_for_script(table | packing | {"command": wanted.command}),
        packed=chain(begun, packed),
    )


def _begin_ns(inspection: Inspection) -> int:
    """Return the first moment of the run."""
    return min((one.first_ns for one in inspection.captures if one.first_ns is not None), default=0)


def _environment() -> Environment:
    """Return the template environment: every text is escaped, and without control characters."""

    def shown(value: Any) -> Any:
        return printable(value) if type(value) is str else value  # markup of ours is no plain str

    return Environment(
        loader=PackageLoader("handshake_inspect.views.page"),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
