"""Sockets that are used again: in TIME-WAIT, after it, after an RST, and without any closing."""

from __future__ import annotations

_CLOSED = """
        0     A > S  x              ts 1000 0
        0.01  B > SA y    ack x+1   ts 5000 1000
        0.02  A > A  x+1  ack y+1   ts 1000 5000
        1     A > FA x+1  ack y+1   ts 2000 5000
        1.01  B > FA y+1  ack x+2   ts 6000 2000
        1.02  A > A  x+2  ack y+2   ts 2010 6000
"""
_PLAINLY_CLOSED = "\n".join(line.partition(" ts ")[0] for line in _CLOSED.splitlines())

REUSED = {
    "in TIME-WAIT, with a higher ISN": _PLAINLY_CLOSED
    + """
        = teardown three-segment
        = time_wait.0.outcome reused
        ---
        let p = y+1_000_000
        5     A > S  x+100_000      | SYN-SENT^     LISTEN?
        5.01  B > SA p  ack x+100_001
        5.02  A > A  x+100_001 ack p+1
        = handshake three-way
        = teardown open
    """,
    "in TIME-WAIT, with a lower ISN and no timestamps": _PLAINLY_CLOSED
    + """
        = time_wait.0.outcome reused-early
        ---
        let p = y+1_000_000
        5     A > S  x-100_000      | SYN-SENT^     LISTEN?
        5.01  B > SA p  ack x-99_999
        5.02  A > A  x-99_999 ack p+1
        = handshake three-way
    """,
    "in TIME-WAIT, with a lower ISN and a newer timestamp (RFC 6191)": _CLOSED
    + """
        = time_wait.0.outcome reused
        ---
        let p = y+1_000_000
        5     A > S  x-100_000                ts 6000 0
        5.01  B > SA p         ack x-99_999   ts 9000 6000
        5.02  A > A  x-99_999  ack p+1        ts 6001 9000
        = handshake three-way
    """,
    "after TIME-WAIT": _PLAINLY_CLOSED
    + """
        = time_wait.0.outcome expired
        ---
        let p = y+1_000_000
        61.03  A > S  x-100_000
        61.04  B > SA p         ack x-99_999
        61.05  A > A  x-99_999  ack p+1
        = handshake three-way
    """,
    "by the other end": _PLAINLY_CLOSED
    + """
        = time_wait.0.outcome reused
        ---
        let p = x+1_000_000
        5     B > S  y+100_000
        5.01  A > SA p          ack y+100_001
        5.02  B > A  y+100_001  ack p+1
        = handshake three-way
        = A LISTEN SYN-RECEIVED ESTABLISHED
        = B CLOSED SYN-SENT ESTABLISHED
    """,
    "in TIME-WAIT, and refused there: an ACK of the old numbers": """
        open
        B > FA y+1  ack x+1
        A > FA x+1  ack y+2
        B > A  y+2  ack x+2           | CLOSED?  TIME-WAIT!
        A > S  x-100_000              | CLOSED?  TIME-WAIT!  ignored
        B > A  y+2  ack x+2           | CLOSED?  TIME-WAIT!
        = teardown three-segment
        = time_wait.0.owner B
    """,
    "the old SYN again in TIME-WAIT": """
        open
        B > FA y+1  ack x+1
        A > FA x+1  ack y+2
        B > A  y+2  ack x+2           | CLOSED?  TIME-WAIT!
        A > S  x                      | CLOSED?  TIME-WAIT!  ignored
        B > A  y+2  ack x+2           | CLOSED?  TIME-WAIT!
        = teardown three-segment
    """,
    "where only the server was captured: its SYN,ACK has another number, for another SYN": """
        B > SA y        ack x+1
        B > A  y+1      ack x+6
        = handshake partial
        ---
        let p = y+77
        B > SA p        ack x+4001
        B > SA p        ack x+4001
        B > PA p+1 (5)  ack x+4006
        = handshake partial
        = handshake.syn_ack_retransmissions 1
    """,
    "after an RST, with the same ISN": """
        open
        A > R  x+1
        = teardown aborted
        ---
        let p = y+77
        A > S  x
        B > SA p    ack x+1
        A > A  x+1  ack p+1
        = handshake three-way
    """,
    "without any closing: the old connection is forgotten": """
        open
        = teardown open
        ---
        let p = y+1_000_000
        A > S  x+100_000
        B > SA p          ack x+100_001
        A > A  x+100_001  ack p+1
        = handshake three-way
        = handshake.syn_retransmissions 0
    """,
    "whose new SYN was not captured": _PLAINLY_CLOSED
    + """
        = teardown three-segment
        ---
        let p = y+900_000
        let q = x+500_000
        5     B > SA p    ack q+1  | SYN-SENT      SYN-RECEIVED!
        5.01  A > A  q+1  ack p+1  | ESTABLISHED!  ESTABLISHED?
        = handshake partial
        = handshake.missing syn
    """,
    "whose new SYN was captured after its SYN,ACK": _PLAINLY_CLOSED
    + """
        = teardown three-segment
        = time_wait.0.outcome reused
        = time_wait.0.restarts ()
        ---
        let p = y+900_000
        let q = x+500_000
        5     B > SA p    ack q+1  | SYN-SENT^     SYN-RECEIVED!
        5.01  A > S  q             | SYN-SENT      SYN-RECEIVED
        5.02  A > A  q+1  ack p+1  | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = handshake.missing ()
    """,
    "whose new SYN was captured after two SYN,ACKs, and the server speaks first": """
        open
        A > R  x+1
        = teardown aborted
        ---
        let p = y+900_000
        let q = x+500_000
        5     B > SA p        ack q+1
        5.01  B > SA p        ack q+1
        5.02  A > S  q
        5.03  A > A  q+1      ack p+1
        5.04  B > PA p+1 (9)  ack q+1
        = handshake three-way
        = handshake.syn_ack_retransmissions 1
    """,
    "whose new SYN, captured after its SYN,ACK, is answered with a banner at once": """
        open
        A > R  x+1
        = teardown aborted
        ---
        let p = y+900_000
        let q = x+500_000
        5     B > SA p        ack q+1
        5.01  A > S  q
        5.02  B > PA p+1 (9)  ack q+1
        5.03  A > A  q+1      ack p+10
        = handshake three-way
    """,
    "with a stray SYN,ACK for a SYN that never comes": """
        open
        B > SA y+900_000  ack x+500_001  | .  .  ignored
        = handshake three-way
        ---
        let p = y+900_000
        let q = x+700_000
        5     A > S  q
        5.01  B > SA p    ack q+1
        5.02  A > A  q+1  ack p+1
        = handshake three-way
    """,
    "refused, and tried again with another ISN": """
        A > S  x
        B > RA 0    ack x+1
        = handshake refused
        ---
        A > S  x+1000
        B > RA 0    ack x+1001
        = handshake refused
    """,
    "three times in a row, each the old maximum passed at once": """
        open
        A > FA x+1  ack y+1
        B > FA y+1  ack x+2
        A > A  x+2  ack y+2
        = teardown three-segment
        ---
        let p = y-2_000_000_000
        A > S  x+50
        B > SA p     ack x+51
        A > A  x+51  ack p+1    | ESTABLISHED!  ESTABLISHED?
        A > FA x+51  ack p+1    | FIN-WAIT-1^   ESTABLISHED?
        B > A  p+1   ack x+52
        B > FA p+1   ack x+52
        A > A  x+52  ack p+2
        = teardown four-way
        = time_wait.0.outcome reused
        ---
        A > S  x+99
        = handshake unanswered
    """,
}

#: Not for every initial number: if y were 2^32 - 1 too, the SYN,ACK would be the old one.
REUSED_WITH_LAST_NUMBER = (
    _PLAINLY_CLOSED
    + """
        ---
        let p = 4_294_967_295
        let q = x+500_000
        5     B > SA p    ack q+1
        5.01  A > A  q+1  ack p+1  | ESTABLISHED!  ESTABLISHED?
        = handshake partial
    """
)
