"""What remains of a recorded scenario when only one end's segments were captured: less, but nothing that is not so."""

from __future__ import annotations

from pathlib import Path

import pytest

from handshake_inspect import inspect
from handshake_inspect.lab.segments import segment_of
from handshake_inspect.lab.wire import CLIENT, SERVER

FOLDER = Path(__file__).parents[2] / "pcaps"
#: Octets of the header of a pcap file, and of each record.
FILE, RECORD = 24, 16

OPENED = ("CLOSED", "SYN-SENT", "ESTABLISHED")
LISTENED = ("LISTEN", "SYN-RECEIVED", "ESTABLISHED")
CROSSED = ("CLOSED", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED")

#: Capture and sender -> teardown and both ends' states of each connection.
CASES = {
    # The crash leaves no trace; the RST belongs to the SYN that it follows, which goes again.
    ("half-open-syn", CLIENT): [("open", OPENED, LISTENED), ("open", OPENED, LISTENED)],
    # A challenge ACK, then a SYN-ACK of another number: another connection.
    ("half-open-syn", SERVER): [("open", OPENED, LISTENED), ("open", OPENED, LISTENED)],
    ("old-duplicate-syn", CLIENT): [("none", ("CLOSED", "SYN-SENT"), None), ("open", OPENED, LISTENED)],
    ("old-duplicate-syn", SERVER): [
        ("none", ("CLOSED", "SYN-SENT"), ("LISTEN", "SYN-RECEIVED")),
        ("open", OPENED, LISTENED),
    ],
    # The forged RSTs, at the server's end of the wire, are not where the client goes on. It acknowledges after its FIN
    # what came after it: it closed first. Of the server's FIN that cannot be told, what it acknowledges is missing.
    ("blind-reset.server", CLIENT): [("partial", (*OPENED, "FIN-WAIT-1"), LISTENED)],
    ("blind-reset.server", SERVER): [("partial", OPENED, LISTENED)],
    ("lost-fin", CLIENT): [("partial", (*OPENED, "FIN-WAIT-1"), LISTENED)],
    ("lost-fin", SERVER): [("partial", OPENED, LISTENED)],
    # Whether both FINs were acknowledged when the RST came, the other direction would tell.
    ("time-wait-killed", SERVER): [("partial", (*OPENED, "CLOSED"), (*LISTENED, "CLOSED"))],
    # Whether the FINs crossed, or who acknowledged them, the other direction would tell.
    ("simultaneous-close", CLIENT): [("partial", (*OPENED, "FIN-WAIT-1"), LISTENED)],
    ("simultaneous-close", SERVER): [("partial", OPENED, (*LISTENED, "FIN-WAIT-1"))],
    # The SYN-ACK of an end that has sent a SYN answers a SYN of its peer's.
    ("simultaneous-open", CLIENT): [("partial", (*CROSSED, "FIN-WAIT-1"), CROSSED)],
    ("simultaneous-open", SERVER): [("partial", CROSSED, CROSSED)],
}


@pytest.mark.parametrize(("capture", "sender"), CASES, ids=lambda part: part)
def test_one_direction_shows_nothing_that_is_not_so(capture: str, sender: str, tmp_path: Path) -> None:
    one_way = tmp_path / "one-way.pcap"
    one_way.write_bytes(only_from(sender, (FOLDER / f"{capture}.pcap").read_bytes()))
    connections = inspect(one_way).connections
    found = [(one.teardown.kind, one.states.originator, one.states.responder) for one in connections]
    assert found == CASES[capture, sender]
    # A FIN of the other end may have been on its way.
    assert {one.teardown.closed_first for one in connections} == {None}
    assert not any(one.time_wait for one in connections)


def only_from(sender: str, octets: bytes) -> bytes:
    """Return a pcap file of ours without the segments that others sent."""
    kept, at = octets[:FILE], FILE
    while at < len(octets):
        end = at + RECORD + int.from_bytes(octets[at + 8 : at + 12], "little")
        segment = segment_of(octets[at + RECORD : end])
        if segment is not None and segment.source[0] == sender:
            kept += octets[at:end]
        at = end
    return kept
