"""What a capture missed, and what later numbers still prove."""

from __future__ import annotations

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
    "the third segment: only the server was captured, and what it sends first waits for it": """
        B > SA y         ack x+1   | SYN-SENT      SYN-RECEIVED!
        B > PA y+1 (100) ack x+1   | ESTABLISHED!  ESTABLISHED!
        B > PA y+101 (5) ack x+1
        = handshake partial
        = handshake.complete True
        = handshake.missing syn ack
        = teardown open
        = A CLOSED SYN-SENT ESTABLISHED
        = B LISTEN SYN-RECEIVED ESTABLISHED
    """,
    "the third segment: only the server was captured, and it refuses what comes then": """
        B > SA y         ack x+1   | SYN-SENT      SYN-RECEIVED!
        B > PA y+1 (100) ack x+1   | ESTABLISHED!  ESTABLISHED!
        B > FA y+101     ack x+1   | ESTABLISHED!  FIN-WAIT-1^
        B > R  y+102               | CLOSED?       CLOSED^
        = handshake partial
        = teardown reset-after-fin
        = reset_by B
    """,
    "only the server was captured: a FIN does not wait for the third segment": """
        B > SA y    ack x+1   | SYN-SENT  SYN-RECEIVED!
        B > FA y+1  ack x+1
        = handshake half-open
    """,
    "the third segment, until after what the server sends first": """
        A > S  x
        B > SA y        ack x+1   | SYN-SENT^     SYN-RECEIVED!
        B > PA y+1 (5)  ack x+1   | ESTABLISHED!  ESTABLISHED!
        A > A  x+1      ack y+1   | ESTABLISHED!  ESTABLISHED!
        = handshake three-way
        = handshake.missing ()
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
