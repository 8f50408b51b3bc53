"""Connections that no kernel makes, and too many to record: as scenarios (`tests.engine.scenario`), or in columns.

What is recorded from real sockets goes before: a name stands here only as long as `pcaps/` shows nothing of the kind.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.table import Block, SegmentTable
from tests.engine.scenario import ISN_PAIRS, inspect_segments, parse, table_of

_CLOSED_BY_A = """
    A > S  x             ts 500 0
    B > SA y    ack x+1  ts 900 500
    A > A  x+1  ack y+1  ts 501 900
    A > FA x+1  ack y+1  ts 502 900
    B > FA y+1  ack x+2  ts 901 502
    A > A  x+2  ack y+2  ts 503 901
"""
#: One connection that A closes first, without timestamps.
_SHORT = """
    open
    A > FA x+1  ack y+1
    B > FA y+1  ack x+2
    A > A  x+2  ack y+2
"""

SCENARIOS = {
    # The next SYN has a higher number, and an older timestamp.
    "time-wait-reused-older": f"""
        {_CLOSED_BY_A}
        2.0  A > S  x+70000  ts 400 0
        B > SA y+70000  ack x+70001  ts 1000 400
        A > A  x+70001  ack y+70001  ts 401 1000
    """,
    # The owner of TIME-WAIT has the port 2 s longer than it must.
    "time-wait-over": f"""
        {_SHORT}
        63.0  A > S  x-70000
        B > SA y+70000    ack x-69999
        A > A  x-69999  ack y+70001
    """,
    "sockets-reused-while-open": """
        open
        A > PA x+1 (10)  ack y+1
        B > A  y+1       ack x+11
        5.0  A > S  x+900000
        B > SA y+900000       ack x+900001
        A > A  x+900001  ack y+900001
    """,
    # Seen at the server's end: each first segment of four is lost on its way there.
    "lost-before-capture": "open\n"
    + "".join(
        f"""
        A > A x+{begin + 100} (300) ack y+1
        B > A y+1 ack x+{begin}
        A > A x+{begin}       (100) ack y+1
        B > A y+1 ack x+{begin + 400}
    """
        for begin in range(1, 4001, 400)
    ),
    # Seen at the server's end: what lies behind the hole passes, what would fill it never.
    "hole-not-filled": """
        open
        A > A x+1    (1000) ack y+1
        B > A y+1    ack x+1001
        A > A x+2001 (1000) ack y+1
        B > A y+1    ack x+1001
        A > A x+3001 (1000) ack y+1
        B > A y+1    ack x+1001
        1 A > A x+4001 (10) ack y+1
        B > A y+1    ack x+1001
    """,
    "ack-beyond-fin-taken-back": """
        open
        A > FA x+1  ack y+1
        B > A  y+1  ack x+802
        B > FA y+1  ack x+2
        A > A  x+2  ack y+2
    """,
    # The kernel of A gave FIN-WAIT-2 up after 60 s.
    "fin-wait-2-ended-by-data": """
        open
        A > FA x+1  ack y+1
        B > A  y+1  ack x+2
        65.0  B > PA y+1 (20)  ack x+2
        A > R  x+2
    """,
}


def _many(count: int, apart_ns: int) -> Inspection:
    """Inspect short connections from one port after the other, each begun so long after the one before."""
    inspector = Inspector()
    capture = inspector.begin_capture("many", "pcap")
    one = table_of(parse(_SHORT).segments(ISN_PAIRS["plain"]), inspector)
    columns = {name: np.tile(column, count) for name, column in one.columns.items()}
    number = np.repeat(np.arange(count), len(one))
    from_client = columns["src_port"] != 80
    for name, client in (("src_port", from_client), ("dst_port", ~from_client)):
        columns[name] = np.where(client, 32768 + number, columns[name]).astype(columns[name].dtype)
    columns["time_ns"] = columns["time_ns"] + number * apart_ns
    columns["frame"] = np.arange(1, len(number) + 1)
    order = np.argsort(columns["time_ns"], kind="stable")
    table = SegmentTable({name: column[order] for name, column in columns.items()})
    inspector.add_block(Block(table), capture, len(table), table["time_ns"])
    return inspector.result()


#: By the name that stands in CASES for them.
MADE: dict[str, Callable[[], Inspection]] = {
    f"made: {name}": lambda text=text: inspect_segments(parse(text).segments(ISN_PAIRS["plain"]))
    for name, text in SCENARIOS.items()
} | {
    # 500 a second, and Linux has 28,232 ports for 60 s each: 470 a second.
    "made: ports-run-out": lambda: _many(1_000, 2_000_000),
    "made: ports-last": lambda: _many(1_000, 4_000_000),
    "made: ports-taken": lambda: _many(22_000, 2_500_000),
}
