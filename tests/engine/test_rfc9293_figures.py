"""RFC 9293 Figures 6 to 13 (RFC 793 Figures 7 to 14), every state in them.

The figures draw what both ends know; a capture is taken at one point and shows that a segment was sent, not that it
arrived. So a state that a figure shows at the arrow's head appears here one segment later, when the receiver's answer
proves the arrival. A first state (LISTEN, CLOSED) is assumed
from what follows. Where a figure holds a segment back ("..."), two captures are possible, one at each end; both are
tests. Each test says which states of its figure no capture can show, and why.
"""

from __future__ import annotations

import pytest

from tests.engine.scenario import ISN_PAIRS, check

FIGURES = {
    # Line 2's SYN-RECEIVED is proven by line 3, line 3's ESTABLISHED by line 4; line 4's ESTABLISHED is assumed, and
    # line 5's data, once acknowledged, would prove it.
    "6: basic three-way handshake": """
        A > S  x                      | SYN-SENT^     LISTEN?
        B > SA y    ack x+1           | SYN-SENT^     SYN-RECEIVED!
        A > A  x+1  ack y+1           | ESTABLISHED!  ESTABLISHED?
        A > A  x+1 (5) ack y+1        | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = handshake.complete True
        = teardown open
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    # The SYNs cross, then the SYN,ACKs. Each SYN,ACK is an own act of an end that has received the other's SYN, so
    # SYN-RECEIVED is proven by it. That the other's SYN,ACK arrived no segment shows: ESTABLISHED is assumed.
    "7: simultaneous open": """
        A > S  x                      | SYN-SENT^      CLOSED?
        B > S  y                      | SYN-SENT^      SYN-SENT^
        A > SA x    ack y+1           | SYN-RECEIVED!  SYN-SENT^
        B > SA y    ack x+1           | ESTABLISHED?   ESTABLISHED?
        = handshake simultaneous-open
        = handshake.complete True
        = teardown open
        = A CLOSED SYN-SENT SYN-RECEIVED ESTABLISHED
        = B CLOSED SYN-SENT SYN-RECEIVED ESTABLISHED
    """,
    # Captured at A: the old duplicate itself (line 3) is not seen, its answer is. B's LISTEN before line 6 follows
    # from A's RST, SYN-RECEIVED from its SYN,ACKs.
    "8: recovery from an old duplicate SYN, captured at A": """
        let z = y-100
        A > S  x                      | SYN-SENT^     LISTEN?
        B > SA z    ack x-9           | SYN-SENT^     SYN-RECEIVED!  ignored
        A > R  x-9                    | SYN-SENT^     LISTEN?
        B > SA y    ack x+1           | SYN-SENT^     SYN-RECEIVED!
        A > A  x+1  ack y+1           | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = teardown open
        = reset_by -
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED LISTEN SYN-RECEIVED ESTABLISHED
    """,
    # As Linux does it: the RST leaves SYN-SENT as it is, and the same SYN goes again at once.
    "8: recovery from an old duplicate SYN, captured at A, the SYN goes again": """
        let z = y-100
        A > S  x                      | SYN-SENT^     LISTEN?
        B > SA z    ack x-9           | SYN-SENT^     SYN-RECEIVED!  ignored
        A > R  x-9                    | SYN-SENT^     LISTEN?
        A > S  x                      | SYN-SENT^     LISTEN?
        B > SA y    ack x+1           | SYN-SENT^     SYN-RECEIVED!
        A > A  x+1  ack y+1           | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = handshake.syn_retransmissions 1
        = handshake.rtt_ambiguous True
        = teardown open
        = reset_by -
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED LISTEN SYN-RECEIVED ESTABLISHED
    """,
    # The same with nothing of B captured: the number of the RST alone says that it is not about A's SYN.
    "8: recovery from an old duplicate SYN, only what A sends is captured": """
        A > S  x                      | SYN-SENT^     .
        A > R  x-9                    | SYN-SENT^     .
        A > S  x                      | SYN-SENT^     .
        A > A  x+1  ack y+1           | ESTABLISHED!  ESTABLISHED?
        = handshake partial
        = handshake.syn_retransmissions 1
        = handshake.missing syn-ack
        = teardown open
        = A CLOSED SYN-SENT ESTABLISHED
    """,
    # Captured at B: the duplicate comes first, and no number in it says that it is old; it is a connection that A
    # abandons. A's SYN-SENT of lines 4 and 5 (of the newer SYN, still under way) cannot be seen.
    "8: recovery from an old duplicate SYN, captured at B": """
        let z = y+100
        A > S  x                      | SYN-SENT^     LISTEN?
        B > SA y    ack x+1           | SYN-SENT^     SYN-RECEIVED!
        A > R  x+1                    | CLOSED^       LISTEN?
        = handshake abandoned
        = handshake.complete False
        = teardown none
        = reset_by A
        = A CLOSED SYN-SENT CLOSED
        = B LISTEN SYN-RECEIVED LISTEN
        ---
        A > S  x+10                   | SYN-SENT^     LISTEN?
        B > SA z    ack x+11          | SYN-SENT^     SYN-RECEIVED!
        A > A  x+11 ack z+1           | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    # The reboot itself is no segment: until its SYN, A still counts as ESTABLISHED, and the old connection's A is
    # CLOSED by its RST; its SYN-SENT of lines 3 to 6 belongs to the new connection, which begins with line 7.
    "9: half-open connection discovery": """
        A > S  x
        B > SA y    ack x+1
        A > A  x+1  ack y+1           | ESTABLISHED!  ESTABLISHED?
        A > S  x+300                  | ESTABLISHED!  ESTABLISHED?  ignored
        B > A  y+1  ack x+1           | ESTABLISHED!  ESTABLISHED?
        A > R  x+1                    | CLOSED^       CLOSED?
        = handshake three-way
        = teardown aborted
        = reset_by A
        = A CLOSED SYN-SENT ESTABLISHED CLOSED
        = B LISTEN SYN-RECEIVED ESTABLISHED CLOSED
        ---
        A > S  x+300                  | SYN-SENT^     -
        = handshake unanswered
        = A CLOSED SYN-SENT
        = B -
    """,
    # The capture begins after the crash: B's ACK and A's RST are the end of the old connection all the same.
    "9: half-open connection discovery, the old connection not captured": """
        A > S  x+300
        B > A  y+1  ack x+1
        A > R  x+1
        = handshake unanswered
        ---
        let p = y+77
        A > S  x+300                  | SYN-SENT^     LISTEN?
        B > SA p    ack x+301         | SYN-SENT^     SYN-RECEIVED!
        A > A  x+301  ack p+1         | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = handshake.syn_retransmissions 0
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    # The connection is older than the capture; A has crashed, and is heard only by its RST: nothing is proven before.
    "10: active side causes half-open connection discovery": """
        B > A  y+1 (10) ack x+1       | -             ESTABLISHED?
        A > R  x+1                    | CLOSED^       CLOSED?
        = handshake not-captured
        = handshake.complete -
        = teardown aborted
        = reset_by A
        = A CLOSED
        = B ESTABLISHED CLOSED
    """,
    # Captured at A: the old duplicate (line 2) is not seen, B's answer is. A's LISTEN is nothing that it sends; its
    # RST says only that it holds no such connection (RFC 9293 §3.5.2: LISTEN or CLOSED).
    "11: old duplicate SYN, two passive sockets, captured at A": """
        B > SA y    ack x+1           | .             SYN-RECEIVED!
        A > R  x+1                    | .             LISTEN?
        = handshake abandoned
        = handshake.complete False
        = teardown none
        = reset_by A
        = B LISTEN SYN-RECEIVED LISTEN
    """,
    # Captured at B: line 2 looks as if A had sent it now.
    "11: old duplicate SYN, two passive sockets, captured at B": """
        A > S  x                      | SYN-SENT^     LISTEN?
        B > SA y    ack x+1           | SYN-SENT^     SYN-RECEIVED!
        A > R  x+1                    | CLOSED^       LISTEN?
        = handshake abandoned
        = teardown none
        = reset_by A
        = A CLOSED SYN-SENT CLOSED
        = B LISTEN SYN-RECEIVED LISTEN
    """,
    # Line 6 (2 MSL) is no segment: it stands in `time_wait`, never in the states.
    "12: normal close": """
        A > S  x
        B > SA y    ack x+1
        A > A  x+1  ack y+1           | ESTABLISHED!  ESTABLISHED?
        A > FA x+1  ack y+1           | FIN-WAIT-1^   ESTABLISHED?
        B > A  y+1  ack x+2           | FIN-WAIT-2?   CLOSE-WAIT!
        B > FA y+1  ack x+2           | FIN-WAIT-2?   LAST-ACK^
        A > A  x+2  ack y+2           | TIME-WAIT!    CLOSED?
        = teardown four-way
        = teardown.complete True
        = closed_first A
        = reset_by -
        = A CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT
        = B LISTEN SYN-RECEIVED ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED
        = time_wait.0.owner A
        = time_wait.0.outcome not-captured
    """,
    # Captured at either end, the FINs and then their ACKs follow each other. FIN-WAIT-1 of the later FIN is its own
    # act; CLOSING is proven by the ACK of the other's FIN; that the last ACKs arrive is assumed.
    "13: simultaneous close": """
        A > S  x
        B > SA y    ack x+1
        A > A  x+1  ack y+1           | ESTABLISHED!  ESTABLISHED?
        A > FA x+1  ack y+1           | FIN-WAIT-1^   ESTABLISHED?
        B > FA y+1  ack x+1           | FIN-WAIT-1^   FIN-WAIT-1^
        A > A  x+2  ack y+2           | CLOSING!      FIN-WAIT-1^
        B > A  y+2  ack x+2           | TIME-WAIT?    TIME-WAIT?
        = teardown simultaneous-close
        = teardown.complete True
        = closed_first both
        = A CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 CLOSING TIME-WAIT
        = B LISTEN SYN-RECEIVED ESTABLISHED FIN-WAIT-1 CLOSING TIME-WAIT
    """,
    # The other order of the ACKs: captured at B, where A's FIN arrives after B has sent its own.
    "13: simultaneous close, captured at B": """
        A > S  x
        B > SA y    ack x+1
        A > A  x+1  ack y+1           | ESTABLISHED!  ESTABLISHED?
        B > FA y+1  ack x+1           | ESTABLISHED!  FIN-WAIT-1^
        A > FA x+1  ack y+1           | FIN-WAIT-1^   FIN-WAIT-1^
        B > A  y+2  ack x+2           | FIN-WAIT-1^   CLOSING!
        A > A  x+2  ack y+2           | TIME-WAIT?    TIME-WAIT?
        = teardown simultaneous-close
        = closed_first both
        = A CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 CLOSING TIME-WAIT
        = B LISTEN SYN-RECEIVED ESTABLISHED FIN-WAIT-1 CLOSING TIME-WAIT
    """,
}


@pytest.mark.parametrize("isns", ISN_PAIRS.values(), ids=ISN_PAIRS)
@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_of_rfc_9293_has_the_states_that_it_shows(figure: str, isns: tuple[int, int]) -> None:
    check(FIGURES[figure], isns)
