"""A log may be cut, mixed with what programs print, or not be one: whatever stands in it, reading it never fails."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from handshake_inspect.inspector import inspect
from handshake_inspect.lab.strace.beside import attribute
from handshake_inspect.lab.strace.lines import read_lines
from handshake_inspect.lab.strace.sockets import sockets_of
from handshake_inspect.views.ladder import ladder_parts
from tests.lab.strace.record import FOLDER

LOGS = sorted(FOLDER.glob("*.log"))
CONNECTIONS = {log: inspect(log.with_suffix(".pcap")) for log in LOGS}
LINES = {log: log.read_text().splitlines() for log in LOGS}
#: What turns one line into another; most of it makes a line that nearly is one.
Damage = Callable[[str, int, str], str]
DAMAGES: list[Damage] = [
    lambda line, at, _: line[:at],
    lambda line, at, _: line[at:],
    lambda line, at, extra: line[:at] + extra + line[at:],
    lambda line, at, extra: line[:at] + extra + line[at + len(extra) :],
    lambda line, at, _: line[:at] + line[at + 1 :],
    lambda line, _at, extra: extra,
]
PIECES = st.sampled_from(
    ['"', "<", ">", "(", ")", "[", "{", ",", " = ", "<unfinished ...>", "-1", "\\", "\\x", "9" * 30]
)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_no_damage_makes_reading_fail(data: st.DataObject) -> None:
    log = data.draw(st.sampled_from(LOGS))
    lines = list(LINES[log])
    for _ in range(data.draw(st.integers(1, 8))):
        number = data.draw(st.integers(0, len(lines) - 1))
        extra = data.draw(PIECES | st.text(max_size=9))
        at = data.draw(st.integers(0, len(lines[number])))
        lines[number] = data.draw(st.sampled_from(DAMAGES))(lines[number], at, extra)
    del lines[: data.draw(st.integers(0, 40))]
    inspection = CONNECTIONS[log]
    found = attribute(sockets_of(read_lines(lines)), inspection.connections)
    for connection in inspection.connections:
        steps = inspection.steps(connection.stream)
        assert ladder_parts(connection, steps, title="damaged", calls=found.calls_of(connection)).lines


@given(st.lists(st.text(), max_size=20))
@settings(max_examples=100, deadline=None)
def test_any_text_can_be_read(lines: list[str]) -> None:
    found = read_lines(lines)
    assert len(found.unread) <= len(lines)
