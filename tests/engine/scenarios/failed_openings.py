"""Openings that fail: refused, unreachable, unanswered, half-open, abandoned, with wrong numbers."""

from __future__ import annotations

FAILED_OPENINGS = {
    "refused": """
        A > S  x             | SYN-SENT^  CLOSED?
        B > RA 0    ack x+1  | CLOSED?    CLOSED
        = handshake refused
        = handshake.complete False
        = teardown none
        = teardown.complete -
        = reset_by B
        = A CLOSED SYN-SENT CLOSED
        = B CLOSED
        = resets.0.valid True
    """,
    "refused at the second attempt": """
        0    A > S  x
        1    A > S  x
        1.1  B > RA 0    ack x+1  | CLOSED?    CLOSED
        = handshake refused
        = handshake.syn_retransmissions 1
    """,
    "nothing answers": """
        0  A > S  x  | SYN-SENT^  -
        1  A > S  x  | SYN-SENT^  -
        3  A > S  x  | SYN-SENT^  -
        = handshake unanswered
        = handshake.complete False
        = handshake.syn_retransmissions 2
        = teardown none
        = A CLOSED SYN-SENT
        = B -
    """,
    "an ICMP error answers": """
        A > S  x
        icmp x
        = handshake unreachable
        = handshake.complete False
        = teardown none
        = B -
    """,
    "an ICMP error quotes some other SYN": """
        A > S  x
        icmp x+1
        = handshake unanswered
    """,
    "the server's answer is never acknowledged": """
        A > S  x
        B > SA y    ack x+1 *6  | SYN-SENT^  SYN-RECEIVED!
        = handshake half-open
        = handshake.complete False
        = handshake.syn_ack_retransmissions 5
        = teardown none
        = A CLOSED SYN-SENT
        = B LISTEN SYN-RECEIVED
    """,
    "the client resets instead of the third segment (a SYN scan): back to LISTEN": """
        A > S  x
        B > SA y    ack x+1
        A > R  x+1           | CLOSED^  LISTEN?
        = handshake abandoned
        = handshake.complete False
        = teardown none
        = reset_by A
        = A CLOSED SYN-SENT CLOSED
        = B LISTEN SYN-RECEIVED LISTEN
        = resets.0.valid True
    """,
    "the server resets after its SYN,ACK": """
        A > S  x
        B > SA y    ack x+1
        B > RA y+1  ack x+1  | CLOSED?  CLOSED^
        = handshake abandoned
        = handshake.complete False
        = reset_by B
        = A CLOSED SYN-SENT CLOSED
        = B LISTEN SYN-RECEIVED CLOSED
    """,
    "the server resets without ACK after its SYN,ACK: SYN-SENT drops that, but the server is gone": """
        A > S  x
        B > SA y    ack x+1  | SYN-SENT^  SYN-RECEIVED!
        B > R  y+1           | SYN-SENT^  CLOSED^        ignored
        = handshake abandoned
        = handshake.complete False
        = teardown none
        = reset_by -
        = resets.0.valid False
        = A CLOSED SYN-SENT
        = B LISTEN SYN-RECEIVED CLOSED
    """,
    "the server resets without ACK, and the third segment proves that its SYN,ACK had come before": """
        A > S  x
        B > SA y    ack x+1
        B > R  y+1           | SYN-SENT^  CLOSED^
        A > A  x+1  ack y+1  | CLOSED?    CLOSED^
        B > R  y+1           | CLOSED?    CLOSED^
        = handshake abandoned
        = reset_by B
        = resets.0.valid True
        = A CLOSED SYN-SENT ESTABLISHED CLOSED
        = B LISTEN SYN-RECEIVED CLOSED
    """,
    "the client resets with the number of its SYN: it is old, and the server goes on waiting": """
        A > S  x
        B > SA y    ack x+1
        A > R  x             | SYN-SENT^  SYN-RECEIVED!  ignored
        = handshake half-open
        = resets.0.valid False
        = B LISTEN SYN-RECEIVED
    """,
    "a SYN,ACK that was not captured, the third segment is answered with an RST": """
        A > S  x
        A > A  x+1  ack y+1  | ESTABLISHED!  SYN-RECEIVED!
        B > R  y+1           | CLOSED?       CLOSED^
        = handshake abandoned
        = handshake.complete False
        = B LISTEN SYN-RECEIVED CLOSED
    """,
    "the third segment acknowledges a wrong number: refused by the server (RFC 9293 §3.10.7.4, fifth)": """
        A > S  x
        B > SA y    ack x+1
        A > A  x+1  ack y+77  | .  SYN-RECEIVED!  ignored
        B > R  y+77          | .  SYN-RECEIVED!  ignored
        = B LISTEN SYN-RECEIVED
        = handshake invalid
        = handshake.complete False
    """,
    "the third segment has a number of its own beyond the window": """
        A > S  x
        B > SA y        ack x+1  win 1000
        A > A  x+1001   ack y+1  | .  SYN-RECEIVED!
        = handshake invalid
        = handshake.complete False
    """,
    "the third segment has a number of its own before the window": """
        A > S  x
        B > SA y        ack x+1
        A > A  x-9      ack y+1  | .  SYN-RECEIVED!
        = handshake invalid
        = handshake.complete False
    """,
    "the third segment has a number ahead, and the SYN,ACK comes again: it was not heard": """
        A > S  x
        B > SA y        ack x+1
        A > A  x+9      ack y+1  | .  SYN-RECEIVED!
        B > SA y        ack x+1  | .  SYN-RECEIVED!
        = handshake invalid
        = handshake.complete False
    """,
    "the SYN,ACK acknowledges a wrong number and is reset": """
        A > S  x
        B > SA y    ack x+5  | SYN-SENT^  SYN-RECEIVED!  ignored
        A > R  x+5           | SYN-SENT^  LISTEN?
        = handshake abandoned
        = handshake.complete False
        = A CLOSED SYN-SENT
        = B LISTEN SYN-RECEIVED LISTEN
    """,
    "the SYN,ACK acknowledges a wrong number, the third segment follows all the same": """
        A > S  x
        B > SA y    ack x+5  | SYN-SENT^  SYN-RECEIVED!  ignored
        A > A  x+1  ack y+1
        = handshake invalid
        = handshake.complete False
    """,
}
