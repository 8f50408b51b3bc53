"""Counterexamples: each is wrong under a simpler rule than the one the engine has."""

from __future__ import annotations

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
