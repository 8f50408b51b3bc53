"""Closings with FINs: in four segments and in three, crossing, half-closed, stuck."""

from __future__ import annotations

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
    # A network card with several queues, or merged taps, exchange what followed at once.
    "a FIN captured after the FIN that acknowledges it": """
        open
        A > FA x+1  ack y+2  | LAST-ACK^  FIN-WAIT-1^
        B > FA y+1  ack x+1  | LAST-ACK   FIN-WAIT-1
        B > A  y+2  ack x+2  | CLOSED?    TIME-WAIT!
        = teardown three-segment
        = teardown.complete True
        = closed_first B
        = A CLOSED SYN-SENT ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED
        = B LISTEN SYN-RECEIVED ESTABLISHED FIN-WAIT-1 TIME-WAIT
        = time_wait.0.owner B
    """,
    "a FIN captured after its ACK and the FIN that answers it": """
        open
        A > A  x+1  ack y+2  | CLOSE-WAIT!  FIN-WAIT-2?
        A > FA x+1  ack y+2  | LAST-ACK^    FIN-WAIT-2?
        B > FA y+1  ack x+1  | LAST-ACK     FIN-WAIT-2?
        B > A  y+2  ack x+2  | CLOSED?      TIME-WAIT!
        = teardown four-way
        = closed_first B
    """,
    "a FIN captured after the FIN that acknowledges it, in a capture that begins midway": """
        A > FA x+1  ack y+2  | LAST-ACK^  FIN-WAIT-1^
        B > FA y+1  ack x+1  | LAST-ACK   FIN-WAIT-1
        B > A  y+2  ack x+2  | CLOSED?    TIME-WAIT!
        = teardown three-segment
        = closed_first B
    """,
    "the FINs cross, and one was captured after an ACK of it": """
        open
        A > FA x+1  ack y+1  | FIN-WAIT-1^  ESTABLISHED?
        A > A  x+2  ack y+2  | FIN-WAIT-1   ESTABLISHED?
        B > FA y+1  ack x+1  | CLOSING!     FIN-WAIT-1^
        B > A  y+2  ack x+2  | TIME-WAIT?   TIME-WAIT?
        = teardown simultaneous-close
        = closed_first both
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
