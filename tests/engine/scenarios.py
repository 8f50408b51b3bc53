"""The scenarios of `test_scenarios` and of the oracle: a sentence, segments, and what an expert says about them.

Reading order: openings, openings that fail, closings, segments that must be ignored, RST in every state, reused
sockets, what a capture missed, Fast Open, books, counterexamples of the engine's design.
"""

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

CLOSINGS = {
    "four segments": """
        open
        A > FA x+1  ack y+1  | FIN-WAIT-1^  ESTABLISHED?
        B > A  y+1  ack x+2  | FIN-WAIT-2?  CLOSE-WAIT!
        B > FA y+1  ack x+2  | FIN-WAIT-2?  LAST-ACK^
        A > A  x+2  ack y+2  | TIME-WAIT!   CLOSED?
        = teardown four-way
        = teardown.complete True
        = teardown.missing ()
        = closed_first A
        = reset_by -
        = teardown.fin_retransmissions 0
        = teardown.half_closed_ns 2000000
    """,
    "three segments": """
        open
        A > FA x+1  ack y+1  | FIN-WAIT-1^  ESTABLISHED?
        B > FA y+1  ack x+2  | FIN-WAIT-1^  LAST-ACK^
        A > A  x+2  ack y+2  | TIME-WAIT!   CLOSED?
        = teardown three-segment
        = teardown.complete True
        = closed_first A
        = A CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 TIME-WAIT
        = B LISTEN SYN-RECEIVED ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED
        = time_wait.0.owner A
    """,
    "the server closes first": """
        open
        B > FA y+1  ack x+1  | ESTABLISHED!  FIN-WAIT-1^
        A > A  x+1  ack y+2  | CLOSE-WAIT!   FIN-WAIT-2?
        A > FA x+1  ack y+2  | LAST-ACK^     FIN-WAIT-2?
        B > A  y+2  ack x+2  | CLOSED?       TIME-WAIT!
        = teardown four-way
        = closed_first B
        = time_wait.0.owner B
    """,
    "data with the FIN": """
        open
        A > FPA x+1 (5) ack y+1  | FIN-WAIT-1^  ESTABLISHED?
        B > FPA y+1 (3) ack x+7  | FIN-WAIT-1^  LAST-ACK^
        A > A   x+7     ack y+5  | TIME-WAIT!   CLOSED?
        = teardown three-segment
        = sent_octets.A 5
        = sent_octets.B 3
        = missing_octets.A 0
    """,
    "half-close: the server goes on sending": """
        open
        A > FA x+1        ack y+1    | FIN-WAIT-1^  ESTABLISHED?
        B > A  y+1        ack x+2    | FIN-WAIT-2?  CLOSE-WAIT!
        B > PA y+1 (100)  ack x+2    | FIN-WAIT-2?  CLOSE-WAIT!
        A > A  x+2        ack y+101  | FIN-WAIT-2   CLOSE-WAIT!
        B > FA y+101      ack x+2    | FIN-WAIT-2   LAST-ACK^
        A > A  x+2        ack y+102  | TIME-WAIT!   CLOSED?
        = teardown four-way
        = closed_first A
        = sent_octets.A 0
        = sent_octets.B 100
        = teardown.half_closed_ns 4000000
    """,
    "half-close that lasts to the end of the capture": """
        open
        A > FA x+1        ack y+1
        B > PA y+1 (100)  ack x+2    | FIN-WAIT-1^  CLOSE-WAIT!
        A > A  x+2        ack y+101  | FIN-WAIT-2!  CLOSE-WAIT!
        = teardown half-closed
        = teardown.complete False
        = closed_first A
        = sent_octets.A 0
        = sent_octets.B -
    """,
    # zeek__mysql_tls-13-amazon-rds.pcap.
    "the FINs cross, and an ACK overtakes the FIN before it": """
        open
        A > FA x+1  ack y+1  | FIN-WAIT-1^   ESTABLISHED?
        B > A  y+2  ack x+2  | FIN-WAIT-1^   CLOSING!
        B > FA y+1  ack x+1  | FIN-WAIT-1^   CLOSING!
        A > A  x+2  ack y+2  | TIME-WAIT?    TIME-WAIT?
        = teardown simultaneous-close
        = closed_first both
    """,
    "the FINs cross, and the first copy of one comes last": """
        open
        A > FA x+1  ack y+1  | FIN-WAIT-1^   ESTABLISHED?
        B > FA y+1  ack x+2  | FIN-WAIT-1^   CLOSING!
        B > FA y+1  ack x+1  | FIN-WAIT-1^   CLOSING!
        A > A  x+2  ack y+2  | TIME-WAIT!    TIME-WAIT?
        = teardown simultaneous-close
        = closed_first both
    """,
    "an ACK overtakes a FIN that acknowledges the other": """
        open
        A > FA x+1  ack y+1  | FIN-WAIT-1^   ESTABLISHED?
        B > A  y+2  ack x+2  | FIN-WAIT-1^   CLOSE-WAIT!
        B > FA y+1  ack x+2  | FIN-WAIT-1^   LAST-ACK^
        A > A  x+2  ack y+2  | TIME-WAIT!    CLOSED?
        = teardown three-segment
        = closed_first A
    """,
    "simultaneous close after simultaneous open": """
        A > S  x
        B > S  y
        A > SA x    ack y+1
        B > SA y    ack x+1  | ESTABLISHED?  ESTABLISHED?
        A > FA x+1  ack y+1  | FIN-WAIT-1^   ESTABLISHED?
        B > FA y+1  ack x+1  | FIN-WAIT-1^   FIN-WAIT-1^
        B > A  y+2  ack x+2  | FIN-WAIT-1^   CLOSING!
        A > A  x+2  ack y+2  | TIME-WAIT?    TIME-WAIT?
        = handshake simultaneous-open
        = teardown simultaneous-close
        = closed_first both
    """,
    "the FINs cross, and the later one is repeated with the acknowledgment": """
        open
        A > FA x+1  ack y+1  | FIN-WAIT-1^  ESTABLISHED?
        B > FA y+1  ack x+1  | FIN-WAIT-1^  FIN-WAIT-1^
        B > FA y+1  ack x+2  | FIN-WAIT-1^  CLOSING!
        A > A  x+2  ack y+2  | TIME-WAIT!   TIME-WAIT?
        = closed_first both
        = teardown.fin_retransmissions 1
        = B LISTEN SYN-RECEIVED ESTABLISHED FIN-WAIT-1 CLOSING TIME-WAIT
    """,
    "the FIN is repeated before it is acknowledged": """
        open
        A > FA x+1  ack y+1 *3  | FIN-WAIT-1^  ESTABLISHED?
        B > A  y+1  ack x+2     | FIN-WAIT-2?  CLOSE-WAIT!
        = teardown half-closed
        = teardown.fin_retransmissions 2
    """,
    "the acknowledgment of the FIN is lost: FIN-WAIT-2 disproved by the FIN's return": """
        open
        A > FA x+1  ack y+1  | FIN-WAIT-1^   ESTABLISHED?
        B > A  y+1  ack x+2  | FIN-WAIT-2??  CLOSE-WAIT!
        A > FA x+1  ack y+1  | FIN-WAIT-1^   CLOSE-WAIT!
        B > A  y+1  ack x+2  | FIN-WAIT-2?   CLOSE-WAIT!
        = teardown half-closed
        = teardown.fin_retransmissions 1
        = A CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 FIN-WAIT-2
    """,
    "the last ACK is lost: the FIN comes again and TIME-WAIT begins anew": """
        0     A > S  x
        0.01  B > SA y    ack x+1
        0.02  A > A  x+1  ack y+1
        1     A > FA x+1  ack y+1
        1.01  B > A  y+1  ack x+2
        1.02  B > FA y+1  ack x+2  | FIN-WAIT-2?  LAST-ACK^
        1.03  A > A  x+2  ack y+2  | TIME-WAIT!   CLOSED??
        1.23  B > FA y+1  ack x+2  | TIME-WAIT!   LAST-ACK^
        1.24  A > A  x+2  ack y+2  | TIME-WAIT!   CLOSED?
        = teardown four-way
        = teardown.fin_retransmissions 1
        = B LISTEN SYN-RECEIVED ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED
        = time_wait.0.entered_ns 1732143601030000000
        = time_wait.0.restarts_ns 1732143601230000000
        = time_wait.0.earliest_end_ns 1732143661230000000
    """,
    "the last ACK never comes: the server is stuck in LAST-ACK": """
        open
        A > FA x+1  ack y+1
        B > A  y+1  ack x+2
        B > FA y+1  ack x+2 *4  | FIN-WAIT-2?  LAST-ACK^
        = teardown incomplete
        = teardown.complete False
        = closed_first A
        = A CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 FIN-WAIT-2
        = B LISTEN SYN-RECEIVED ESTABLISHED CLOSE-WAIT LAST-ACK
        = time_wait ()
    """,
    "the FIN is never acknowledged": """
        open
        A > FA x+1  ack y+1 *3  | FIN-WAIT-1^  ESTABLISHED?
        = teardown incomplete
        = teardown.complete False
    """,
    "the FIN is captured before the data": """
        open
        A > FA x+11       ack y+1   | FIN-WAIT-1^  ESTABLISHED?
        A > PA x+1  (10)  ack y+1   | FIN-WAIT-1^  ESTABLISHED?
        B > FA y+1        ack x+12  | FIN-WAIT-1^  LAST-ACK^
        A > A  x+12       ack y+2   | TIME-WAIT!   CLOSED?
        = teardown three-segment
        = closed_first A
        = sent_octets.A 10
        = missing_octets.A 0
    """,
    "FIN,ACK captured before the bare ACK: still four segments": """
        open
        A > FA x+1  ack y+1
        B > FA y+1  ack x+2  | FIN-WAIT-1^  LAST-ACK^
        B > A  y+1  ack x+2  | FIN-WAIT-2?  LAST-ACK^
        A > A  x+2  ack y+2  | TIME-WAIT!   CLOSED?
        = teardown four-way
    """,
}

IGNORED = {
    "FIN in the middle of octets that come later": """
        open
        A > FA x+3      ack y+1  | ESTABLISHED!  ESTABLISHED?  ignored
        A > PA x+1 (4)  ack y+1
        B > A  y+1      ack x+5
        A > FA x+5      ack y+1  | FIN-WAIT-1^   ESTABLISHED
        B > A  y+1      ack x+6  | FIN-WAIT-2?   CLOSE-WAIT!
        = teardown half-closed
        = sent_octets.A 4
    """,
    "SYN,ACK of the end that had asked, with right numbers, before its third segment": """
        A > S  x
        B > SA y    ack x+1  | SYN-SENT^     SYN-RECEIVED!
        A > SA x    ack y+1  | SYN-SENT^     SYN-RECEIVED!  ignored
        A > A  x+1  ack y+1  | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED ESTABLISHED
        = handshake.syn_ack_retransmissions 0
    """,
    "SYN,ACK of the end that had asked, with right numbers, after the handshake": """
        open
        A > SA x    ack y+1  | ESTABLISHED!  ESTABLISHED?  ignored
        B > A  y+1  ack x+1
        A > PA x+1 (5)  ack y+1
        B > A  y+1  ack x+6
        = handshake three-way
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    "SYN,ACK of the end that had asked, which acknowledges what was never sent, and an RST that answers": """
        A > S  x
        B > SA y      ack x+1     | SYN-SENT^     SYN-RECEIVED!
        A > SA x      ack y+1001  | SYN-SENT^     SYN-RECEIVED!  ignored
        B > R  y+1001             | SYN-SENT^     SYN-RECEIVED!  ignored
        A > A  x+1    ack y+1     | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = sent_octets.B -
        = missing_octets.B -
    """,
    "SYN,ACK with a wrong acknowledgment, then the right one: SYN-SENT waits for that": """
        A > S  x
        B > SA y      ack x+1001  | SYN-SENT^     SYN-RECEIVED!  ignored
        A > R  x+1001             | SYN-SENT^     LISTEN?
        B > SA y      ack x+1     | SYN-SENT^     SYN-RECEIVED!
        A > A  x+1    ack y+1     | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = A CLOSED SYN-SENT ESTABLISHED
        = sent_octets.A -
        = missing_octets.A -
    """,
    "FIN far beyond the window, whose sender goes on from the right number and closes there": """
        open
        A > FA x+1_000_001  ack y+1  | ESTABLISHED!  ESTABLISHED?  ignored
        B > A  y+1          ack x+1
        A > PA x+1 (4)      ack y+1
        B > A  y+1          ack x+5
        A > FA x+5          ack y+1  | FIN-WAIT-1^   ESTABLISHED
        B > A  y+1          ack x+6  | FIN-WAIT-2?   CLOSE-WAIT!
        B > FA y+1          ack x+6  | FIN-WAIT-2?   LAST-ACK^
        A > A  x+6          ack y+2  | TIME-WAIT!    CLOSED?
        = teardown four-way
        = closed_first A
        = teardown.fin_retransmissions 0
        = sent_octets.A 4
        = missing_octets.A 0
    """,
    "FIN ahead, behind a gap that nobody fills": """
        open
        A > FA x+501    ack y+1  | ESTABLISHED!  ESTABLISHED?  ignored
        B > A  y+1      ack x+1
        A > FA x+1      ack y+1  | FIN-WAIT-1^   ESTABLISHED?
        B > FA y+1      ack x+2  | FIN-WAIT-1^   LAST-ACK^
        A > A  x+2      ack y+2  | TIME-WAIT!    CLOSED?
        = teardown three-segment
        = closed_first A
        = sent_octets.A 0
    """,
    "FIN ahead, not yet belied": """
        open
        A > FA x+501    ack y+1  | FIN-WAIT-1^   ESTABLISHED?
        B > A  y+1      ack x+1
        A > PA x+1 (4)  ack y+1  | FIN-WAIT-1^   ESTABLISHED?
        = teardown incomplete
    """,
    "FIN again with a higher number, after the first was acknowledged": """
        open
        A > FA x+1   ack y+1  | FIN-WAIT-1^  ESTABLISHED?
        B > A  y+1   ack x+2  | FIN-WAIT-2?  CLOSE-WAIT!
        A > FA x+11  ack y+1  | FIN-WAIT-2?  CLOSE-WAIT!  ignored
        B > FA y+1   ack x+2  | FIN-WAIT-2?  LAST-ACK^
        A > A  x+2   ack y+2  | TIME-WAIT!   CLOSED?
        = teardown four-way
        = teardown.fin_retransmissions 0
        = closed_first A
        = sent_octets.A 0
    """,
    "FIN with a number that was acknowledged before it came, and is not the last": """
        open
        A > PA x+1 (4)  ack y+1
        B > A  y+1      ack x+5
        A > FA x+4      ack y+1  | ESTABLISHED!  ESTABLISHED!  ignored
        B > A  y+1      ack x+5
        A > FA x+5      ack y+1  | FIN-WAIT-1^   ESTABLISHED!
        B > A  y+1      ack x+6  | FIN-WAIT-2?   CLOSE-WAIT!
        = teardown half-closed
        = sent_octets.A 4
    """,
    "FIN without ACK, as scanners send it: dropped (RFC 9293 §3.10.7.4, fifth)": """
        open
        A > FPU x+1                | ESTABLISHED!  ESTABLISHED?  ignored
        A > PA x+1 (10)  ack y+1
        B > A  y+1       ack x+11
        A > FA x+11      ack y+1   | FIN-WAIT-1^   ESTABLISHED
        = teardown incomplete
    """,
    "RST below the next number: outside the window": """
        open
        A > PA x+1 (10)  ack y+1
        B > A  y+1       ack x+11
        A > R  x+1                 | ESTABLISHED!  ESTABLISHED  ignored
        A > PA x+11 (10) ack y+1
        B > A  y+1       ack x+21
        = teardown open
        = reset_by -
        = resets.0.valid False
        = resets.0.by A
    """,
    "RST above the next number, its supposed sender goes on": """
        open
        A > R  x+5000              | ESTABLISHED!  ESTABLISHED?  ignored
        B > A  y+1       ack x+1   # the challenge ACK of RFC 5961
        A > PA x+1 (10)  ack y+1
        B > A  y+1       ack x+11
        = teardown open
        = reset_by -
        = resets.0.valid False
    """,
    "RST at exactly the next number, whose sender goes on and is acknowledged: injected, or lost": """
        open
        A > R  x+1                 | ESTABLISHED!  ESTABLISHED?  ignored
        A > PA x+1 (10)  ack y+1
        B > A  y+1       ack x+11
        = teardown open
        = reset_by -
        = resets.0.valid -
    """,
    "FIN from before the SYN: of some other connection": """
        open
        A > FA x-1000    ack y+1   | ESTABLISHED!  ESTABLISHED?  ignored
        A > PA x+1 (10)  ack y+1
        B > A  y+1       ack x+11
        = teardown open
        = closed_first -
    """,
    "RST that does not acknowledge the SYN": """
        A > S  x
        B > R  0             | SYN-SENT^  CLOSED  ignored
        B > RA 0    ack x+5  | SYN-SENT^  CLOSED  ignored
        = handshake unanswered
        = reset_by -
        = A CLOSED SYN-SENT
        = resets.0.valid False
        = resets.1.valid False
    """,
    "a second SYN,ACK with another number, which the third segment acknowledges": """
        let z = y+7000
        A > S  x
        B > SA y        ack x+1  | SYN-SENT^     SYN-RECEIVED!  ignored?
        B > SA z        ack x+1  | SYN-SENT^     SYN-RECEIVED!  ignored?
        A > A  x+1      ack z+1  | ESTABLISHED!  ESTABLISHED?
        A > PA x+1 (5)  ack z+1
        B > A  z+1      ack x+6
        B > FA z+1      ack x+6
        A > FA x+6      ack z+2
        B > A  z+2      ack x+7
        = handshake three-way
        = teardown three-segment
        = sent_octets.B 0
        = missing_octets.B 0
    """,
    "SYN in an established connection: a challenge ACK, nothing else": """
        open
        A > S  x+5000           | ESTABLISHED!  ESTABLISHED?  ignored
        B > A  y+1      ack x+1
        A > PA x+1 (5)  ack y+1
        B > A  y+1      ack x+6
        = handshake three-way
        = handshake.syn_retransmissions 0
        = teardown open
    """,
    "the same SYN again in an established connection: an old duplicate": """
        open
        A > PA x+1 (5)  ack y+1
        B > A  y+1      ack x+6
        A > S  x                | ESTABLISHED!  ESTABLISHED
        B > A  y+1      ack x+6
        = handshake three-way
        = teardown open
    """,
    "an acknowledgment of data that was never sent": """
        open
        A > A  x+1      ack y+5001  | ESTABLISHED!  ESTABLISHED?  ignored
        B > PA y+1 (5)  ack x+1
        A > A  x+1      ack y+6
        B > FA y+6      ack x+1     | ESTABLISHED!  FIN-WAIT-1^
        A > FA x+1      ack y+7     | LAST-ACK^     FIN-WAIT-1^
        B > A  y+7      ack x+2     | CLOSED?       TIME-WAIT!
        = teardown three-segment
        = closed_first B
        = sent_octets.B 5
    """,
    "an absurd number in one segment spoils no other": """
        open
        A > PA x+2_000_000_000 (1)  ack y+1
        A > PA x+1 (5)              ack y+1
        B > A  y+1                  ack x+6
        A > FA x+6                  ack y+1  | FIN-WAIT-1^  ESTABLISHED
        B > FA y+1                  ack x+7  | FIN-WAIT-1^  LAST-ACK^
        A > A  x+7                  ack y+2  | TIME-WAIT!   CLOSED?
        = teardown three-segment
        = sent_octets.A 5
    """,
}

RESETS = {
    "in LISTEN: a stray RST, then a connection": """
        A > R  x+1
        = teardown.closed_first -
        ---
        A > S  x
        B > SA y    ack x+1
        A > A  x+1  ack y+1  | ESTABLISHED!  ESTABLISHED?
        = handshake three-way
        = teardown open
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    # RFC 5961 §3: it would have had to be at x+1.
    "of an end of which only its own segments were captured, and which goes on": """
        A > S  x
        A > A  x+1      ack y+1
        A > R  x+1001           | ESTABLISHED!  ESTABLISHED?  ignored
        A > PA x+1 (5)  ack y+1
        A > FA x+6      ack y+1 | FIN-WAIT-1^   ESTABLISHED?
        = teardown partial
        = reset_by -
        = A CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1
        = resets.0.valid False
    """,
    "in SYN-RECEIVED after simultaneous open": """
        A > S  x
        B > S  y
        A > SA x    ack y+1  | SYN-RECEIVED!  SYN-SENT^
        B > R  y+1           | CLOSED?        CLOSED^
        = handshake abandoned
        = handshake.complete False
        = teardown none
        = reset_by B
        = A CLOSED SYN-SENT SYN-RECEIVED CLOSED
        = B CLOSED SYN-SENT CLOSED
    """,
    "in SYN-RECEIVED after simultaneous open, by the end that is there": """
        A > S  x
        B > S  y
        A > SA x    ack y+1  | SYN-RECEIVED!  SYN-SENT^
        A > R  x+1           | CLOSED^        SYN-SENT^  ignored
        = handshake abandoned
        = A CLOSED SYN-SENT SYN-RECEIVED CLOSED
        = B CLOSED SYN-SENT
    """,
    "in ESTABLISHED, by the client": """
        open
        A > RA x+1  ack y+1  | CLOSED^  CLOSED?
        = teardown aborted
        = teardown.complete True
        = closed_first -
        = reset_by A
        = A CLOSED SYN-SENT ESTABLISHED CLOSED
        = B LISTEN SYN-RECEIVED ESTABLISHED CLOSED
        = resets.0.valid True
    """,
    "in ESTABLISHED, by the server, with unread data": """
        open
        A > PA x+1 (5)  ack y+1
        B > RA y+1      ack x+6  | CLOSED?  CLOSED^
        = teardown aborted
        = reset_by B
        = sent_octets.B 0
    """,
    "in FIN-WAIT-1": """
        open
        A > FA x+1  ack y+1
        B > RA y+1  ack x+2  | CLOSED?  CLOSED^
        = teardown reset-after-fin
        = teardown.complete True
        = closed_first A
        = reset_by B
    """,
    "in FIN-WAIT-2": """
        open
        A > FA x+1  ack y+1
        B > A  y+1  ack x+2  | FIN-WAIT-2?  CLOSE-WAIT!
        B > RA y+1  ack x+2  | CLOSED?      CLOSED^
        = teardown reset-after-fin
        = reset_by B
        = A CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSED
        = B LISTEN SYN-RECEIVED ESTABLISHED CLOSE-WAIT CLOSED
    """,
    "in CLOSE-WAIT: the closer had closed both ways and gets data": """
        open
        A > FA x+1      ack y+1
        B > PA y+1 (5)  ack x+2  | FIN-WAIT-1^  CLOSE-WAIT!
        A > R  x+2               | CLOSED^      CLOSED?
        = teardown reset-after-fin
        = closed_first A
        = reset_by A
    """,
    "in CLOSING": """
        open
        A > FA x+1  ack y+1
        B > FA y+1  ack x+1
        A > A  x+2  ack y+2  | CLOSING!  FIN-WAIT-1^
        B > R  y+2           | CLOSED?   CLOSED^
        = teardown reset-after-fin
        = closed_first both
        = reset_by B
        = A CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 CLOSING CLOSED
    """,
    "in LAST-ACK": """
        open
        A > FA x+1  ack y+1
        B > A  y+1  ack x+2
        B > FA y+1  ack x+2  | FIN-WAIT-2?  LAST-ACK^
        A > R  x+2           | CLOSED^      CLOSED?
        = teardown reset-after-fin
        = reset_by A
        = B LISTEN SYN-RECEIVED ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED
    """,
    "in TIME-WAIT (RFC 1337)": """
        open
        A > FA x+1  ack y+1
        B > FA y+1  ack x+2
        A > A  x+2  ack y+2  | TIME-WAIT!  CLOSED?
        B > R  y+2           | CLOSED?     CLOSED
        = teardown three-segment
        = teardown.complete True
        = reset_by B
        = A CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 TIME-WAIT CLOSED
        = time_wait.0.outcome killed
    """,
    "to the third segment: the listener has no room for the connection": """
        A > S  x
        B > SA y    ack x+1
        A > A  x+1  ack y+1     | ESTABLISHED!  SYN-RECEIVED!
        B > R  y+1              | CLOSED?       CLOSED^
        = handshake abandoned
        = teardown none
        = A CLOSED SYN-SENT ESTABLISHED CLOSED
        = B LISTEN SYN-RECEIVED CLOSED
    """,
    "with ACK after the third segment: an ABORT of what was open": """
        open
        B > RA y+1  ack x+1     | CLOSED?       CLOSED^
        = handshake three-way
        = teardown aborted
        = B LISTEN SYN-RECEIVED ESTABLISHED CLOSED
    """,
    "without ACK to data: what was open may have been lost since (Figure 10)": """
        open
        A > PA x+1 (4)  ack y+1
        B > R  y+1
        = handshake three-way
        = teardown aborted
        = B LISTEN SYN-RECEIVED ESTABLISHED CLOSED
    """,
    "in TIME-WAIT, which ignores it and lives on (RFC 1337)": """
        open
        B > PA y+1 (4)  ack x+1
        A > A  x+1  ack y+5
        A > FA x+1  ack y+5
        B > A  y+5  ack x+2
        B > FA y+5  ack x+2  id 9
        A > A  x+2  ack y+6                 | TIME-WAIT!  CLOSED?
        B > FA y+5  ack x+2  id 9           | TIME-WAIT!  CLOSED?
        A > A  x+2  ack y+6                 | TIME-WAIT!  CLOSED?
        B > R  y+6                          | TIME-WAIT!  CLOSED?   ignored
        B > PA y+1 (4)  ack x+1             | TIME-WAIT!  CLOSED?   ignored?
        A > A  x+2  ack y+6                 | TIME-WAIT!  CLOSED?
        = teardown four-way
        = reset_by -
        = A CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT
        = time_wait.0.outcome not-captured
    """,
    "from TIME-WAIT: the kernel had no room for it and has forgotten the connection": """
        open
        A > FA x+1  ack y+1
        B > A  y+1  ack x+2
        B > FA y+1  ack x+2  id 7
        A > A  x+2  ack y+2             | TIME-WAIT!  CLOSED?
        B > FA y+1  ack x+2  id 7        | TIME-WAIT!  CLOSED?
        A > R  x+2                      | CLOSED^     CLOSED?
        = teardown four-way
        = reset_by -
        = A CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT CLOSED
        = B LISTEN SYN-RECEIVED ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED
        = time_wait.0.outcome forgotten
        = time_wait.0.restarts_ns ()
    """,
    "data and RST at once: never acknowledged, taken to have worked": """
        open
        A > PA x+1 (10)  ack y+1
        A > RA x+11      ack y+1  | CLOSED^  CLOSED?
        = teardown aborted
        = reset_by A
        = resets.0.valid -
        = sent_octets.A 10
    """,
    "by both ends": """
        open
        A > RA x+1  ack y+1  | CLOSED^  CLOSED?
        B > RA y+1  ack x+1  | CLOSED   CLOSED
        = teardown aborted
    """,
    "at a self-connect": """
        self
        A > S  x
        A > SA x    ack x+1
        A > A  x+1  ack x+1
        A > RA x+1  ack x+1  | CLOSED  CLOSED
        = handshake self-connect
        = teardown aborted
        = reset_by A
        = resets.0.by A
    """,
    "beyond the window first, then exactly, after the challenge ACK (RFC 5961 §3.2)": """
        open
        A > R  x+100         | .        ESTABLISHED?  ignored
        B > A  y+1  ack x+1  | .        ESTABLISHED?
        A > R  x+1           | CLOSED^  CLOSED?
        = teardown aborted
        = reset_by A
        = resets.0.valid False
        = resets.1.valid True
    """,
    "RST,ACK answers data to a closed port, its number from the acknowledgment": """
        A > PA x+1 (5)  ack y+1  | ESTABLISHED?  -
        B > R  y+1               | CLOSED?       CLOSED^
        = handshake not-captured
        = teardown aborted
        = reset_by B
    """,
}

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

NOT_CAPTURED = {
    "the SYN": """
        B > SA y    ack x+1   | SYN-SENT      SYN-RECEIVED!
        A > A  x+1  ack y+1   | ESTABLISHED!  ESTABLISHED?
        = handshake partial
        = handshake.complete True
        = handshake.missing syn
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    "the SYN,ACK": """
        A > S  x              | SYN-SENT^     .
        A > A  x+1  ack y+1   | ESTABLISHED!  ESTABLISHED?
        A > PA x+1 (5) ack y+1
        B > A  y+1  ack x+6
        = handshake partial
        = handshake.complete True
        = handshake.missing syn-ack
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    "the SYN,ACK, and data follows at once": """
        A > S  x
        B > PA y+1 (5)  ack x+1   | SYN-SENT^     SYN-RECEIVED!
        A > A  x+1      ack y+6   | ESTABLISHED!  ESTABLISHED?
        = handshake partial
        = handshake.missing syn-ack
        = A CLOSED SYN-SENT ESTABLISHED
    """,
    "the third segment": """
        A > S  x
        B > SA y    ack x+1
        B > A  y+1  ack x+6   | ESTABLISHED!  ESTABLISHED!
        = handshake partial
        = handshake.complete True
        = handshake.missing ack
    """,
    "the SYN and the SYN,ACK: nothing of the opening is known": """
        A > A  x+1  ack y+1
        A > PA x+1 (5)  ack y+1
        B > A  y+1  ack x+6
        = handshake not-captured
        = handshake.missing ()
    """,
    "the closer's FIN": """
        open
        A > PA x+1 (5)  ack y+1
        B > A  y+1      ack x+6
        B > A  y+1      ack x+7
        B > FA y+1      ack x+7
        A > A  x+7      ack y+2
        = teardown partial
        = teardown.complete True
        = teardown.missing fin
        = closed_first A
        = sent_octets.A 5
    """,
    "the other's FIN": """
        open
        B > PA y+1 (5)  ack x+1
        A > A  x+1      ack y+6
        A > FA x+1      ack y+6
        B > A  y+6      ack x+2
        A > A  x+2      ack y+7
        = teardown partial
        = teardown.complete True
        = teardown.missing peer-fin
        = closed_first A
    """,
    "everything that the responder sent": """
        A > S  x
        A > A  x+1      ack y+1   | ESTABLISHED!  ESTABLISHED?
        A > PA x+1 (5)  ack y+1
        A > A  x+6      ack y+21
        # What comes later shows that no FIN came before: A closed first, or the FINs crossed.
        A > FA x+6      ack y+21  | FIN-WAIT-1^   ESTABLISHED
        A > A  x+7      ack y+22
        = handshake partial
        = handshake.complete True
        = handshake.missing syn-ack
        = teardown partial
        = teardown.complete -
        = closed_first -
        = A CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1
        = segments.B 0
        = sent_octets.A 5
    """,
    "everything that the responder sent, which closed first, or did not": """
        A > S  x
        A > A  x+1      ack y+1   | ESTABLISHED!  ESTABLISHED?
        A > PA x+1 (5)  ack y+1
        # 19 octets and a FIN, or 20 octets.
        A > A  x+6      ack y+21
        A > FA x+6      ack y+21  | -             ESTABLISHED?
        A > FA x+6      ack y+21  | -             ESTABLISHED?
        = handshake partial
        = teardown partial
        = teardown.complete -
        = teardown.fin_retransmissions 1
        = closed_first -
        = time_wait ()
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    "everything that the responder sent, which said nothing before the FIN": """
        A > S  x
        A > A  x+1      ack y+1
        A > FA x+1      ack y+1   | FIN-WAIT-1^   ESTABLISHED?
        = teardown partial
        = closed_first -
        = A CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1
    """,
    "what the responder sent, and the acknowledgment of its SYN": """
        A > S  x
        A > FA x+1      ack y+1   | -             SYN-RECEIVED!
        = A CLOSED SYN-SENT ESTABLISHED
    """,
    "octets before the FIN of which the last may have been a FIN": """
        open
        A > FA x+1      ack y+11  | -             ESTABLISHED?
        B > A  y+11     ack x+2   | -             -
        = teardown partial
        = teardown.complete -
        = closed_first -
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    "octets before the FIN, but not the last of them": """
        open
        A > FA x+1       ack y+11  | FIN-WAIT-1^   ESTABLISHED?
        B > PA y+10 (1)  ack x+2   | FIN-WAIT-2!   CLOSE-WAIT!
        = teardown half-closed
        = closed_first A
    """,
    "octets before the FIN, whose sender goes on": """
        open
        A > FA x+1      ack y+11  | FIN-WAIT-1^   ESTABLISHED?
        B > A  y+11     ack x+2   | FIN-WAIT-2?   CLOSE-WAIT!
        A > A  x+2      ack y+15
        = teardown half-closed
        = closed_first A
    """,
    "octets before a FIN that nobody acknowledges": """
        open
        A > FA x+1      ack y+11  | -             ESTABLISHED?
        B > A  y+11     ack x+1   | -             ESTABLISHED?
        = teardown incomplete
        = teardown.complete False
        = closed_first -
    """,
    "octets before the FIN that an RST answers": """
        open
        B > PA y+1 (5)  ack x+1
        A > FA x+1      ack y+11  | -             ESTABLISHED?
        B > R  y+11               | CLOSED?       CLOSED^
        = teardown reset-after-fin
        = teardown.complete True
        = closed_first -
        = reset_by B
        = A CLOSED SYN-SENT ESTABLISHED CLOSED
        = B LISTEN SYN-RECEIVED ESTABLISHED CLOSED
    """,
    "everything that the responder sent, and an RST after the FIN": """
        A > S  x
        A > A  x+1      ack y+1
        A > A  x+1      ack y+21
        A > FA x+1      ack y+21  | -             ESTABLISHED?
        A > R  x+2                | CLOSED^       CLOSED?
        # Both FINs were acknowledged, or the RST took effect.
        = teardown partial
        = teardown.complete True
        = closed_first -
        = reset_by A
    """,
    "octets before the FIN, and an RST after its acknowledgment": """
        open
        A > FA x+1      ack y+11  | -             ESTABLISHED?
        B > A  y+11     ack x+2   | -             -
        A > R  x+2                | CLOSED^       CLOSED?
        # Both FINs are acknowledged, or the RST took effect.
        = teardown partial
        = teardown.complete True
        = closed_first -
        = reset_by A
    """,
    "the FIN of an end that learns in the same segment that its SYN was acknowledged": """
        A > S  x
        B > SA y        ack x+1   | SYN-SENT^     SYN-RECEIVED!
        A > FA x+1      ack y+11  | -             SYN-RECEIVED!
        B > A  y+11     ack x+2   | -             -
        = handshake three-way
        = handshake.complete True
        = teardown partial
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    "everything that one end of a simultaneous open sent": """
        A > S  x                  | SYN-SENT^     CLOSED?
        A > SA x        ack y+1   | SYN-RECEIVED! SYN-SENT^
        A > A  x+1      ack y+1   | ESTABLISHED!  ESTABLISHED?
        = handshake partial
        = handshake.complete True
        = handshake.missing syn-ack
        = A CLOSED SYN-SENT SYN-RECEIVED ESTABLISHED
        = B CLOSED SYN-SENT SYN-RECEIVED ESTABLISHED
    """,
    "everything that one end of a simultaneous open sent, which came to nothing": """
        A > S  x
        A > SA x        ack y+1   | SYN-RECEIVED! SYN-SENT^
        = handshake half-open
        = handshake.complete False
        = teardown none
        = A CLOSED SYN-SENT SYN-RECEIVED
        = B CLOSED SYN-SENT
    """,
    "one SYN of a simultaneous open": """
        A > S  x
        A > SA x        ack y+1   | SYN-RECEIVED! SYN-SENT^
        B > SA y        ack x+1
        A > A  x+1      ack y+1
        = handshake three-way
        = B CLOSED SYN-SENT SYN-RECEIVED ESTABLISHED
    """,
    "everything that the originator sent": """
        B > SA y           ack x+1   | SYN-SENT      SYN-RECEIVED!
        B > A  y+1         ack x+6   | ESTABLISHED!  ESTABLISHED!
        B > PA y+1  (20)   ack x+6
        B > A  y+21        ack x+7
        # A's last number may be an octet, or its FIN.
        B > FA y+21        ack x+7   | .             -
        = handshake partial
        = handshake.complete True
        = handshake.missing syn ack
        = teardown partial
        = sent_octets.B 20
        = segments.A 0
    """,
    "everything before the ACK of a FIN, which then comes again": """
        A > A  x+1  ack y+2
        B > FA y+1  ack x+1  | CLOSE-WAIT    .
        A > FA x+1  ack y+2  | LAST-ACK^     .
        B > A  y+2  ack x+2  | CLOSED?       TIME-WAIT!
        = handshake not-captured
        = closed_first B
        = A ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED
    """,
    "data: the books say how much": """
        open
        A > PA x+1    (100)  ack y+1
        A > PA x+301  (100)  ack y+1
        B > A  y+1           ack x+401
        A > FA x+401         ack y+1
        B > FA y+1           ack x+402
        A > A  x+402         ack y+2
        = teardown three-segment
        = octets.A 200
        = sent_octets.A 400
        = missing_octets.A 200
        = sent_octets.B 0
        = missing_octets.B 0
    """,
}

FAST_OPEN = {
    "accepted": """
        A > S  x  (10)          tfo 0102030405060708  | SYN-SENT^  .
        B > SA y        ack x+11   | SYN-SENT^     SYN-RECEIVED!
        B > PA y+1 (5)  ack x+11   | SYN-SENT^     SYN-RECEIVED!
        A > A  x+11     ack y+6    | ESTABLISHED!  ESTABLISHED?
        = handshake fast-open
        = handshake.complete True
        = handshake.fast_open accepted
        = octets.A 10
    """,
    "accepted in part": """
        A > S  x  (10)          tfo 0102030405060708
        B > SA y        ack x+5
        A > PA x+5 (6)  ack y+1
        B > A  y+1      ack x+11
        = handshake fast-open
        = handshake.fast_open accepted
    """,
    "declined: only the SYN is acknowledged": """
        A > S  x  (10)          tfo 0102030405060708
        B > SA y        ack x+1   | SYN-SENT^     SYN-RECEIVED!
        A > PA x+1 (10) ack y+1   | ESTABLISHED!  SYN-RECEIVED!
        B > A  y+1      ack x+11  | ESTABLISHED!  ESTABLISHED!
        A > FA x+11     ack y+1
        B > FA y+1      ack x+12
        A > A  x+12     ack y+2
        = handshake three-way
        = handshake.fast_open declined
        = octets.A 20
        = sent_octets.A 10
        = missing_octets.A 0
    """,
    "not asked for: octets on a SYN without the option are no request, and nothing declines it": """
        A > S  x  (5)
        B > SA y        ack x+1
        A > PA x+1 (5)  ack y+1
        B > A  y+1      ack x+6
        = handshake three-way
        = handshake.fast_open -
    """,
    "not asked for, and the octets on the SYN are taken (Linux: tcp_fastopen with 0x200)": """
        A > S  x  (5)
        B > SA y        ack x+6
        A > A  x+6      ack y+1
        = handshake fast-open
        = handshake.fast_open accepted
    """,
    "requested: no data, the cookie comes back": """
        A > S  x                  tfo
        B > SA y    ack x+1       tfo 0102030405060708
        A > A  x+1  ack y+1
        = handshake three-way
        = handshake.fast_open requested
    """,
    "tried again without data": """
        0    A > S  x  (10)       tfo 0102030405060708
        1    A > S  x
        1.1  B > SA y    ack x+1
        1.2  A > PA x+1 (10)  ack y+1
        1.3  B > A  y+1  ack x+11
        = handshake three-way
        = handshake.syn_retransmissions 1
        = handshake.fast_open declined
    """,
    "refused": """
        A > S  x  (10)       tfo 0102030405060708
        B > RA 0    ack x+11  | CLOSED?  CLOSED
        = handshake refused
    """,
    "nothing answers": """
        A > S  x  (10)       tfo 0102030405060708
        = handshake unanswered
        = handshake.fast_open requested
    """,
}

COUNTEREXAMPLES = {
    "an early high ACK hides the first segment whose own ACK covers": """
        open
        A > PA x+1 (10)    ack y+1
        B > A  y+1         ack x+2001   # ahead of what was captured of A
        A > PA x+11 (1990) ack y+1
        A > FA x+2001      ack y+1   | FIN-WAIT-1^  .
        B > FA y+1         ack x+2002
        A > A  x+2002      ack y+2
        = teardown three-segment
        = sent_octets.A 2000
        = missing_octets.A 0
    """,
    "an RST injected ahead becomes valid later": """
        open
        B > PA y+1 (10)  ack x+1
        B > R  y+11                | ESTABLISHED!  CLOSED^
        A > A  x+1       ack y+11  | CLOSED?       CLOSED
        = teardown aborted
        = reset_by B
        = resets.0.valid True
    """,
    "a storm of 2,667 RSTs says one thing": """
        open
        A > PA x+1 (10)  ack y+1
        B > R  y+1  *2667  | CLOSED?  CLOSED^
        = teardown aborted
        = reset_by B
        = segments.B 2668
    """,
    "a covering segment with a lower one behind it": """
        open
        A > PA x+101 (100)  ack y+1
        A > PA x+1   (100)  ack y+1
        B > A  y+1          ack x+201
        A > FA x+201        ack y+1
        B > FA y+1          ack x+202
        A > A  x+202        ack y+2
        = teardown three-segment
        = missing_octets.A 0
    """,
    "more than 4 GiB: the numbers go round": """
        open
        A > PA x+1+900_000_000   (1000)  ack y+1
        B > A  y+1  ack x+900_001_001
        A > PA x+1+1_800_000_000 (1000)  ack y+1
        B > A  y+1  ack x+1_800_001_001
        A > PA x+1+2_700_000_000 (1000)  ack y+1
        B > A  y+1  ack x+2_700_001_001
        A > PA x+1+3_600_000_000 (1000)  ack y+1
        B > A  y+1  ack x+3_600_001_001
        A > PA x+1+4_500_000_000 (1000)  ack y+1
        B > A  y+1  ack x+4_500_001_001
        A > FA x+4_500_001_001   ack y+1  | FIN-WAIT-1^  ESTABLISHED
        B > FA y+1  ack x+4_500_001_002   | FIN-WAIT-1^  LAST-ACK^
        A > A  x+4_500_001_002   ack y+2  | TIME-WAIT!   CLOSED?
        = teardown three-segment
        = sent_octets.A 4500001000
        = missing_octets.A 4499996000
        = octets.A 5000
    """,
    "exactly 4 GiB: the FIN has the number of the SYN's successor": """
        open
        A > PA x+1+1_000_000_000 (296)  ack y+1
        B > A  y+1  ack x+1_000_000_297
        A > PA x+1+2_000_000_000 (296)  ack y+1
        B > A  y+1  ack x+2_000_000_297
        A > PA x+1+3_000_000_000 (296)  ack y+1
        B > A  y+1  ack x+3_000_000_297
        A > PA x+1+4_000_000_000 (296)  ack y+1
        B > A  y+1  ack x+4_000_000_297
        A > FA x+4_294_967_297   ack y+1
        B > FA y+1  ack x+4_294_967_298
        A > A  x+4_294_967_298   ack y+2
        = teardown three-segment
        = sent_octets.A 4294967296
    """,
    "an RST refuses a SYN,ACK of some other SYN, from an end that said more than its SYN": """
        A > S  x
        A > -  x
        B > SA y          ack x-9     | SYN-SENT^     SYN-RECEIVED!  ignored
        A > R  x-9                    | SYN-SENT^     LISTEN?
        B > SA y+100_000  ack x+1     | SYN-SENT^     SYN-RECEIVED!
        A > A  x+1        ack y+100_001
        = handshake three-way
        = reset_by -
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED LISTEN SYN-RECEIVED ESTABLISHED
        = resets.0.valid True
    """,
    "a SYN,ACK and a FIN are repeated: each disproves an acknowledgment of its own": """
        A > S  x
        B > SA y        ack x+1   | SYN-SENT^     SYN-RECEIVED!
        A > A  x+1      ack y+1   | ESTABLISHED!  ESTABLISHED??
        B > FA y+1      ack x+1   | ESTABLISHED!  FIN-WAIT-1^
        A > A  x+1      ack y+2   | CLOSE-WAIT!   FIN-WAIT-2??
        B > SA y        ack x+1   | CLOSE-WAIT!   FIN-WAIT-2??
        B > FA y+1      ack x+1   | CLOSE-WAIT!   FIN-WAIT-1^
        A > A  x+1      ack y+2   | CLOSE-WAIT!   FIN-WAIT-2?
        = handshake three-way
        = teardown half-closed
    """,
    "a FIN of the connection before is repeated while a SYN,ACK is": """
        let z = y+100_000
        let w = x+100_000
        B > FA z    ack w    | CLOSED?        LISTEN?
        B > SA y    ack x+1  | SYN-SENT^      SYN-RECEIVED!
        A > A  w    ack z+1  | SYN-RECEIVED!  ESTABLISHED??
        B > A  z+1  ack w+1  | SYN-RECEIVED!  ESTABLISHED??  ignored
        B > FA z    ack w    | SYN-RECEIVED!  ESTABLISHED??
        A > A  x+1  ack y+1  | SYN-RECEIVED!  ESTABLISHED??
        B > SA y    ack x+1  | SYN-RECEIVED!  SYN-RECEIVED!
        A > A  x+1  ack y+1  | SYN-RECEIVED!  ESTABLISHED?
    """,
    "keep-alives, one below the next number": """
        open
        A > A  x+0      ack y+1   | ESTABLISHED!  ESTABLISHED?
        B > A  y+1      ack x+1
        A > A  x+0 (1)  ack y+1
        B > A  y+1      ack x+1
        = handshake three-way
        = teardown open
    """,
}

GROUPS = {
    "opening": OPENINGS,
    "failed opening": FAILED_OPENINGS,
    "closing": CLOSINGS,
    "ignored": IGNORED,
    "RST": RESETS,
    "reused sockets": REUSED,
    "not captured": NOT_CAPTURED,
    "Fast Open": FAST_OPEN,
    "counterexample": COUNTEREXAMPLES,
}

SCENARIOS = {f"{group}: {name}": text for group, members in GROUPS.items() for name, text in members.items()}
