"""TIME-WAITs that each host owes over time, against the ephemeral ports that it has.

In: the ledger of an inspection. Out: a figure and its table. A TIME-WAIT of the end that connected keeps one of its
ports from being used for the same remote socket; of the end that accepted it takes no port.
"""

from __future__ import annotations

from markupsafe import Markup

from handshake_inspect.connections.ledger.ledger import TimeWaitLedger
from handshake_inspect.connections.ledger.owing import HostOwes
from handshake_inspect.connections.ledger.port_use import PortUse
from handshake_inspect.quantities import counted, duration
from handshake_inspect.views.page.charts.drawn import element, plain_table, together
from handshake_inspect.views.page.charts.over_time import PARTS, SHORTEST_NS, Limit, Panel, panel

#: Hosts that are drawn, and that the table names.
DRAWN, LISTED = 6, 30
#: Pairs of host and remote socket that are looked at, those that took most ports first.
LOOKED_AT = 2000


def time_wait_figure(ledger: TimeWaitLedger) -> tuple[Markup, Markup] | None:
    """Return the panels of the hosts that owed most, and the table of more; None if nobody owed any."""
    if ledger.span_ns is None:
        return None
    begin, captured = ledger.captured_ns
    end = max(ledger.span_ns[1], captured, begin + SHORTEST_NS)
    listed = ledger.hosts(LISTED)
    uses: dict[tuple[str, str], PortUse] = {}
    for use in ledger.port_use(LOOKED_AT):
        uses.setdefault((use.ip, use.tunnel), use)
    panels = [
        Panel(
            name=_name(one),
            query=f"host:{one.ip}",
            words=_words(one, uses.get((one.ip, one.tunnel)), begin),
            sentence="TIME-WAITs over time",
            role="time-wait",
            counts=ledger.over_time(place, PARTS, (begin, end)),
            end_ns=end - begin,
            captured_ns=captured - begin,
            peak=one.peak,
            peak_ns=one.peak_ns - begin,
            limit=_limit(uses.get((one.ip, one.tunnel)), ledger) if one.connecting else None,
        )
        for place, one in enumerate(listed[:DRAWN])
    ]
    figure = [element("div", *map(panel, panels), class_="panels")]
    more = ledger.host_count - len(panels)
    if more > 0:
        figure.append(
            element("p", f"{counted(more, 'more host')} {'is' if more == 1 else 'are'} not drawn.", class_="chart-note")
        )
    assumed = f"Assumed: {ledger.profile.assumption}. Behind the end of the capture nothing is known but that."
    figure.append(element("p", assumed, class_="chart-note"))
    return together(figure), _table(ledger, listed, begin)


def _limit(use: PortUse | None, ledger: TimeWaitLedger) -> Limit:
    """Return the ports that there are for one remote socket: TIME-WAITs for several take the same ones."""
    count = ledger.ports.count
    return Limit(count, f"{count:,} ephemeral ports for each remote socket", use is not None and use.peak >= count)


def _name(one: HostOwes) -> str:
    return f"{one.ip} in {one.tunnel}" if one.tunnel else one.ip


def _words(one: HostOwes, use: PortUse | None, begin_ns: int) -> str:
    most = f"at most {one.peak:,} at once, at {duration(one.peak_ns - begin_ns)}"
    if one.accepting == one.time_waits:
        return f"{most}; it accepted them: they take no port"
    return f"{most}; at most {counted(use.peak, 'port')} taken for {use.remote}" if use else most


def _table(ledger: TimeWaitLedger, listed: tuple[HostOwes, ...], begin_ns: int) -> Markup:
    count = ledger.host_count
    caption = f"TIME-WAITs by host: {counted(count, 'host')}"
    hosts = plain_table(
        caption if count <= len(listed) else f"{caption}, the first {len(listed)}",
        ("Host", "Most at once", "Reached after", "TIME-WAITs", "Connected", "Accepted"),
        (
            (
                _name(one),
                f"{one.peak:,}",
                duration(one.peak_ns - begin_ns),
                f"{one.time_waits:,}",
                f"{one.connecting:,}",
                f"{one.accepting:,}",
            )
            for one in listed
        ),
    )
    uses = ledger.port_use(LISTED)
    if not uses:
        return hosts
    ports = plain_table(
        f"Ephemeral ports taken: {ledger.ports}",
        ("Host", "Remote socket", "Most at once", "Of the range", "Runs out at"),
        (
            (
                use.ip,
                str(use.remote),
                f"{use.peak:,}",
                f"{use.share:.2%}",
                f"{use.runs_out_at_per_s:,.1f} connections/s",
            )
            for use in uses
        ),
    )
    return together([hosts, ports])
