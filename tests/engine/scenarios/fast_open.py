"""TCP Fast Open (RFC 7413): data on the SYN, accepted, declined, or not answered at all."""

from __future__ import annotations

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
    "tried again without data, and it is not known whether the SYN with data arrived": """
        0    A > S  x  (10)       tfo 0102030405060708
        1    A > S  x
        1.1  B > SA y    ack x+1
        1.2  A > PA x+1 (10)  ack y+1
        1.3  B > A  y+1  ack x+11
        = handshake three-way
        = handshake.syn_retransmissions 1
        = handshake.fast_open requested
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
