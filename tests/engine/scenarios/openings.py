"""Handshakes that open a connection: ordinary, repeated, simultaneous, and of a socket connected to itself."""

from __future__ import annotations

OPENINGS = {
    "an ordinary handshake": """
        open
        = handshake three-way
        = handshake.complete True
        = handshake.missing ()
        = handshake.syn_retransmissions 0
        = handshake.rtt_ambiguous False
        = handshake.fast_open -
        = teardown open
        = teardown.complete -
        = closed_first -
        = sent_octets.A -
    """,
    "the SYN is sent three times": """
        0     A > S  x              | SYN-SENT^     LISTEN?
        1     A > S  x              | SYN-SENT^     LISTEN?
        3     A > S  x              | SYN-SENT^     LISTEN?
        3.01  B > SA y    ack x+1   | SYN-SENT^     SYN-RECEIVED!
        3.02  A > A  x+1  ack y+1   | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = handshake.syn_retransmissions 2
        = handshake.syn_ack_retransmissions 0
        = handshake.rtt_ambiguous True
        = handshake.syn_to_syn_ack_ns 3010000000
    """,
    "the SYN,ACK is sent twice before it is answered": """
        A > S  x
        B > SA y    ack x+1   | SYN-SENT^     SYN-RECEIVED!
        B > SA y    ack x+1   | SYN-SENT^     SYN-RECEIVED!
        A > A  x+1  ack y+1   | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = handshake.syn_ack_retransmissions 1
        = handshake.rtt_ambiguous True
    """,
    "the SYN,ACK is repeated after the third segment: that one was lost": """
        A > S  x
        B > SA y    ack x+1   | SYN-SENT^     SYN-RECEIVED!
        A > A  x+1  ack y+1   | ESTABLISHED!  ESTABLISHED??
        B > SA y    ack x+1   | ESTABLISHED!  SYN-RECEIVED!
        A > A  x+1  ack y+1   | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = handshake.complete True
        = handshake.syn_ack_retransmissions 1
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    "an old copy of the SYN,ACK disproves nothing: the server has acknowledged data since": """
        A > S  x
        B > SA y        ack x+1   | SYN-SENT^     SYN-RECEIVED!
        A > A  x+1      ack y+1   | ESTABLISHED!  ESTABLISHED?
        A > PA x+1 (4)  ack y+1   | ESTABLISHED!  ESTABLISHED?
        B > A  y+1      ack x+5   | ESTABLISHED!  ESTABLISHED!
        B > SA y        ack x+1   | ESTABLISHED!  ESTABLISHED!
        A > A  x+5      ack y+1   | ESTABLISHED!  ESTABLISHED!
        = handshake three-way
        = handshake.syn_ack_retransmissions 1
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    "the third segment is lost for good: only the client is established": """
        A > S  x
        B > SA y    ack x+1   | SYN-SENT^     SYN-RECEIVED!
        A > A  x+1  ack y+1   | ESTABLISHED!  ESTABLISHED??
        B > SA y    ack x+1 *4 | ESTABLISHED!  SYN-RECEIVED!
        = handshake half-open
        = handshake.complete False
        = handshake.syn_ack_retransmissions 4
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED
    """,
    "the third segment has a number ahead in the window: its ACK opens all the same (RFC 9293 §3.10.7.4, first)": """
        A > S  x
        B > SA y        ack x+1  win 1000
        A > A  x+1000   ack y+1  | ESTABLISHED!  ESTABLISHED?
        B > A  y+1      ack x+1  | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = handshake.complete True
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    "data with the third segment": """
        A > S  x
        B > SA y        ack x+1
        A > PA x+1 (5)  ack y+1   | ESTABLISHED!  SYN-RECEIVED!
        B > A  y+1      ack x+6   | ESTABLISHED!  ESTABLISHED!
        = handshake three-way
        = octets.A 5
    """,
    "the SYN,ACK is captured before the SYN": """
        B > SA y    ack x+1   | SYN-SENT      SYN-RECEIVED!
        A > S  x              | SYN-SENT      SYN-RECEIVED!
        A > A  x+1  ack y+1   | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = handshake.missing ()
        = handshake.syn_to_syn_ack_ns -
        = handshake.initial_rtt_ns -
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    "simultaneous open, each SYN,ACK captured at once": """
        A > S  x              | SYN-SENT^     CLOSED?
        B > S  y              | SYN-SENT^     SYN-SENT^
        B > SA y    ack x+1   | SYN-SENT^     SYN-RECEIVED!
        A > SA x    ack y+1   | ESTABLISHED?  ESTABLISHED?
        A > A  x+1  ack y+1   | ESTABLISHED?  ESTABLISHED?
        = handshake simultaneous-open
        = handshake.complete True
        = A CLOSED SYN-SENT SYN-RECEIVED ESTABLISHED
        = B CLOSED SYN-SENT SYN-RECEIVED ESTABLISHED
    """,
    "simultaneous open in which a SYN was repeated": """
        A > S  x
        B > S  y
        A > S  x              | SYN-SENT^     SYN-SENT^
        A > SA x    ack y+1   | SYN-RECEIVED! SYN-SENT^
        B > SA y    ack x+1   | ESTABLISHED?  ESTABLISHED?
        = handshake simultaneous-open
        = handshake.syn_retransmissions 1
    """,
    "self-connect, from end to end": """
        self
        A > S  x              | SYN-SENT^      SYN-SENT^
        A > SA x    ack x+1   | ESTABLISHED?   ESTABLISHED?
        A > A  x+1  ack x+1   | ESTABLISHED?   ESTABLISHED?
        A > FA x+1  ack x+1   | FIN-WAIT-1^    FIN-WAIT-1^
        A > A  x+2  ack x+2   | TIME-WAIT?     TIME-WAIT?
        = handshake self-connect
        = handshake.complete True
        = teardown simultaneous-close
        = closed_first both
        = A CLOSED SYN-SENT SYN-RECEIVED ESTABLISHED FIN-WAIT-1 CLOSING TIME-WAIT
        = B CLOSED SYN-SENT SYN-RECEIVED ESTABLISHED FIN-WAIT-1 CLOSING TIME-WAIT
    """,
    "the capture begins within the connection": """
        A > PA x+1 (5)   ack y+1    | ESTABLISHED?  ESTABLISHED?
        B > A  y+1       ack x+6    | ESTABLISHED?  ESTABLISHED?
        B > PA y+1 (7)   ack x+6
        A > A  x+6       ack y+8
        A > FA x+6       ack y+8    | FIN-WAIT-1^   ESTABLISHED?
        B > FA y+8       ack x+7    | FIN-WAIT-1^   LAST-ACK^
        A > A  x+7       ack y+9    | TIME-WAIT!    CLOSED?
        = handshake not-captured
        = handshake.complete -
        = teardown three-segment
        = closed_first A
        = sent_octets.A -
        = missing_octets.A -
        = A ESTABLISHED FIN-WAIT-1 TIME-WAIT
        = B ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED
    """,
    "the capture begins with a FIN": """
        # B may have closed before the capture began: LAST-ACK, or FIN-WAIT-1.
        A > FA x+1       ack y+1    | -             ESTABLISHED?
        B > A  y+1       ack x+2    | -             -
        = handshake not-captured
        = teardown partial
        = teardown.complete -
        = closed_first -
        = A ESTABLISHED
        = B ESTABLISHED
    """,
    "the capture begins with a FIN, and the other end has not closed": """
        A > FA x+1       ack y+1    | FIN-WAIT-1^   ESTABLISHED?
        B > A  y+1       ack x+2    | FIN-WAIT-2?   CLOSE-WAIT!
        B > PA y+1 (5)   ack x+2    | FIN-WAIT-2?   CLOSE-WAIT!
        = handshake not-captured
        = teardown half-closed
        = teardown.complete False
        = closed_first A
        = A ESTABLISHED FIN-WAIT-1 FIN-WAIT-2
        = B ESTABLISHED CLOSE-WAIT
    """,
    "ISN and port are those of a server that answers late, twice": """
        0    A > S  x
        1    A > S  x
        1.1  B > SA y    ack x+1
        1.2  B > SA y    ack x+1
        1.3  A > A  x+1  ack y+1
        1.4  A > A  x+1  ack y+1
        = handshake three-way
        = handshake.syn_retransmissions 1
        = handshake.syn_ack_retransmissions 1
    """,
}
