"""RSTs in every state: those that take effect, and those that must be ignored."""

from __future__ import annotations

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
