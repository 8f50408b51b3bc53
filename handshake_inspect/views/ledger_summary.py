"""The summary of the ledger of TIME-WAIT for people: by host, over time, and how near ports were to running out.

In: a `TimeWaitLedger`. Out: wrapped lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from handshake_inspect.connections.ledger.ledger import TimeWaitLedger
from handshake_inspect.connections.ledger.owing import HostOwes
from handshake_inspect.connections.ledger.port_use import PortUse
from handshake_inspect.quantities import counted, duration, listed, seconds
from handshake_inspect.tcp.time_wait import LINUX_OCTETS, SECOND_NS
from handshake_inspect.views.account import HEADING, paragraphs_as_lines
from handshake_inspect.views.table import GAP, cell_width
from handshake_inspect.views.words import assumption, octets

#: How many hosts, and pairs of host and remote socket, are named: those with the highest peaks.
MOST_HOSTS, MOST_PORT_USES = 8, 4
#: From the lowest count that is not 0 to the highest.
BLOCKS = "▁▂▃▄▅▆▇█"
NARROWEST_BAR, WIDEST_BAR = 8, 60


def summary_lines(ledger: TimeWaitLedger, zero_ns: int, width: int) -> Iterator[Text]:
    """Yield the lines; times are seconds since `zero_ns`."""
    hosts = ledger.hosts(MOST_HOSTS)
    paragraphs = [
        ("TIME-WAIT", [_total(ledger)]),
        ("At once", _hosts(ledger, hosts, zero_ns, width - HEADING)),
        ("Ports", _ports(ledger, zero_ns) or _other_ports(ledger, hosts)),
        ("Accepted", _accepted(hosts)),
    ]
    return paragraphs_as_lines(paragraphs, width)


def _total(ledger: TimeWaitLedger) -> Text:
    connections = counted(ledger.connections, "connection")
    if not len(ledger):
        return Text(f"Nobody owes it: {connections}, none of which an end closed first and in order.")
    line = Text(f"{connections} left {counted(len(ledger), 'TIME-WAIT')} ({assumption(ledger.profile)}).")
    known = {name: count for name, count in ledger.outcomes.items() if name != "not-captured"}
    if known:
        line.append(f" The end was captured of {sum(known.values()):,}: ")
        line.append(f"{listed([f'{count:,} {name}' for name, count in known.items()])}.")
    return line


def _hosts(ledger: TimeWaitLedger, hosts: Sequence[HostOwes], zero_ns: int, width: int) -> list[Text]:
    """Return a small table: how many each host owed, in all and at once, and a bar of how many over time."""
    if ledger.span_ns is None:
        return []
    rows = [["host", "owed", "at most", "first at", "most owed for"]]
    for one in hosts:
        most_at = f"{one.most_at} ({one.most_at_count:,})"
        rows.append([_name(one), f"{one.time_waits:,}", f"{one.peak:,}", _when(one.peak_ns, zero_ns), most_at])
    widths = [max(cell_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    while len(widths) > 1 and sum(widths) + len(widths) * len(GAP) + NARROWEST_BAR > width:
        del widths[-1]  # a narrow terminal: the bar says more
    room = min(max(width - sum(widths) - len(widths) * len(GAP), NARROWEST_BAR), WIDEST_BAR)
    bars = ["over time", *(bar(ledger.over_time(i, room)) for i in range(len(hosts)))]
    lines = []
    for row, picture in zip(rows, bars, strict=True):
        aligned = [cell.rjust(size) if 1 <= i <= 3 else cell.ljust(size)
                   for i, (cell, size) in enumerate(zip(row, widths, strict=False))]  # fmt: skip
        lines.append(Text(GAP.join([*aligned, picture]).rstrip(), "bold" if row is rows[0] else ""))
    more = ledger.host_count - len(hosts)
    if more:
        lines.append(Text(f"and {counted(more, 'host')} more, none with a higher peak"))
    return [*lines, _stretch(ledger.span_ns, ledger.captured_ns[1], zero_ns)]


def _stretch(span_ns: tuple[int, int], captured_until_ns: int, zero_ns: int) -> Text:
    begin, end, captured = (_when(one, zero_ns) for one in (*span_ns, captured_until_ns))
    foretold = f"; behind {captured}, where the capture ends, by the profile alone"
    line = f"Over time: from {begin} to {end} after the first frame"
    return Text(f"{line}{foretold if captured_until_ns < span_ns[1] else ''}.")


def bar(counts: Sequence[int]) -> str:
    """Draw counts as blocks, the highest of them as a full one, none as a space."""
    most = max(counts, default=0)
    return "".join(BLOCKS[-(-count * len(BLOCKS) // most) - 1] if count else " " for count in counts)


def _ports(ledger: TimeWaitLedger, zero_ns: int) -> list[Text]:
    uses = ledger.port_use(MOST_PORT_USES)
    if not uses:
        return []
    rule = (
        "A TIME-WAIT keeps a pair of sockets, not a port: for each remote socket connect() has all"
        f" {ledger.ports.count:,} of {ledger.ports}."
    )
    lines = [Text(rule), *(_port_use(one, zero_ns) for one in uses)]
    more = ledger.port_use_count - len(uses)
    return [*lines, Text(f"and {counted(more, 'remote socket')} more, none with a higher peak")] if more else lines


def _port_use(use: PortUse, zero_ns: int) -> Text:
    line = Text(f"{use.ip} → {use.remote}: {use.peak:,} taken at once ({100 * use.share:.1f} %)")
    line.append(f" at {_when(use.peak_ns, zero_ns)}, {use.peak_time_waits:,} in TIME-WAIT, {use.peak_open:,} open")
    line.append(f". They run out at {_rate(use.runs_out_at_per_s)} connections per second, each held for")
    line.append(f" {duration(use.mean_held_ns)} on average")
    if use.opened_in_window > 1:
        line.append(f"; at most {_rate(use.seen_per_s)} per second were seen, over {use.window_ns / SECOND_NS:.3g} s")
    line.append(".")
    if use.peak >= use.ports.count:
        line.append(" No port was left: connect() fails with EADDRNOTAVAIL.", "bold red")
    elif use.seen_per_s > use.runs_out_at_per_s:
        left_s = use.ports.count / use.seen_per_s
        line.append(f" Had it gone on so, no port would have been left after {left_s:.1f} s.", "bold yellow")
    if use.outside:
        line.append(
            f" {counted(use.outside, 'connection')} came from a port outside this range; --ports takes another."
        )
    return line


def _rate(per_s: float) -> str:
    return f"{per_s:,.1f}" if per_s >= 1 else f"{per_s:.2g}"


def _accepted(hosts: Sequence[HostOwes]) -> list[Text]:
    """Say what TIME-WAIT costs the end that accepted: no port, but memory, and bind()."""
    owing = [
        f"{_name(one)} ({one.accepting:,}, at most {octets(one.peak * LINUX_OCTETS)})" for one in hosts if one.accepting
    ]
    if not owing:
        return []
    return [
        Text(
            f"For connections that they accepted, these hosts owe it: {listed(owing)}. That takes no port from anybody."
            f" It costs memory (Linux: {LINUX_OCTETS} octets each), and until it is over bind() to such a port fails"
            " unless the old listener and the new one both set SO_REUSEADDR."
        )
    ]


def _other_ports(ledger: TimeWaitLedger, hosts: Sequence[HostOwes]) -> list[Text]:
    """Return why there is nothing about ports, if hosts that connected owe TIME-WAIT."""
    if not any(one.connecting for one in hosts):
        return []
    return [Text(f"No connection that left a TIME-WAIT came from one of {ledger.ports}; --ports takes another range.")]


def _name(host: HostOwes) -> str:
    return f"{host.ip} ({host.tunnel})" if host.tunnel else host.ip


def _when(time_ns: int, zero_ns: int) -> str:
    return f"{seconds(time_ns - zero_ns)} s"
