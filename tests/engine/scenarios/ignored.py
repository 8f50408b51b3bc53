"""Segments that their receiver must ignore, wholly or in part."""

from __future__ import annotations

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
