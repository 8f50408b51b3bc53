"""One line per datagram of UDP, and per ICMP error that quotes one: what `sniff --udp` prints.

In: rows of `DatagramTable` and `IcmpErrorTable`. Out: styled text with the time of each. The sender stands on the left;
for an error the sender of the quoted datagram, to whom it is sent, and its source, if that is not the other end. UDP
has no states. What does not fit on the terminal stands below, on lines of the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter

from rich.text import Text

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.pairs import address
from handshake_inspect.quantities import counted
from handshake_inspect.table import DatagramTable, IcmpErrorTable
from handshake_inspect.tcp.icmp import words
from handshake_inspect.views.ladder_layout import hanging
from handshake_inspect.views.segment_line import WIDTH_FOR_MICROSECONDS
from handshake_inspect.views.words import time_of_day

#: When something happened, nanoseconds since the Unix epoch, and its line.
Timed = tuple[int, Text]
Rows = DatagramTable | IcmpErrorTable


def datagram_lines(
    datagrams: DatagramTable, errors: IcmpErrorTable, width: int | None, where: Callable[[int], str]
) -> list[Timed]:
    """Return the lines in order of time, for a terminal of `width`. `where`: the interface, by the number of a frame.

    Of errors those that quote a datagram are to be given.
    """
    lines = [*_lines(datagrams, width, where), *_lines(errors, width, where)]
    return sorted(lines, key=itemgetter(0))


def _lines(table: Rows, width: int | None, where: Callable[[int], str]) -> Iterator[Timed]:
    for row in range(len(table)):
        time_ns = int(table["time_ns"][row])
        time = time_of_day(time_ns, "local")
        begin = f"{time} {'udp':>4}  " if width is None else f"{_short(time, width)} {'udp':>3}  "
        names = Text()
        if interface := where(int(table["frame"][row])):
            names.append(f"{interface}  ", "dim")
        names.append(str(_end(table, row, "src"))).append(" → " if isinstance(table, DatagramTable) else " ← ", "bold")
        names.append(str(_end(table, row, "dst")))
        for part in _fitted(Text(begin), names, _said(table, row), width):
            yield time_ns, part


def _fitted(begin: Text, names: Text, said: Text, width: int | None) -> Iterator[Text]:
    """Yield all on one line; on a terminal where that has no room, what is said below the names."""
    whole = Text.assemble(begin, names, "  ", said)
    if width is None or whole.cell_len <= width:
        yield whole
        return
    yield from hanging(begin, names, width)
    yield from hanging(Text(" " * begin.cell_len), said, width)


def _short(time: str, width: int) -> str:
    return time if width >= WIDTH_FOR_MICROSECONDS else time[:-3]


def _end(table: Rows, row: int, side: str) -> Endpoint:
    upper, lower, port = (int(table[f"{side}_{part}"][row]) for part in ("hi", "lo", "port"))
    return Endpoint(address(int(table["ip_version"][row]), upper, lower), port)


def _said(table: Rows, row: int) -> Text:
    if isinstance(table, DatagramTable):
        return Text(counted(int(table["payload_octets"][row]), "octet"))
    version, kind, code = (int(table[name][row]) for name in ("ip_version", "icmp_type", "icmp_code"))
    source = address(version, int(table["from_hi"][row]), int(table["from_lo"][row]))
    sent_by = "" if source == _end(table, row, "dst").ip else f", from {source}"
    return Text.assemble((f"ICMP {words(version, kind, code)}", "bold red"), sent_by)
