"""The table of all that is translated: how Linux says it, and what that is in RFC 9293.

In: nothing. Out: `DIFFERENCES`. Each line was measured on Linux 6.18, is held by a test with real sockets, and is shown
wherever it is used. RFC 9293 §3.3.2 and §3.6 are the other side of it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which the kernel says something else than RFC 9293, and means the same."""

    #: Its name, a word.
    code: str
    #: What the kernel shows.
    kernel: str
    #: What it is in the words of RFC 9293.
    means: str
    #: One sentence: why.
    reason: str


DIFFERENCES = (
    Difference(
        "mini",
        "→ TCP_CLOSE, and a mini socket in TIME-WAIT",
        "TIME-WAIT",
        "For TIME-WAIT Linux replaces a socket by a small one, and logs the end of the big one.",
    ),
    Difference(
        "orphan",
        "→ TCP_CLOSE, and a mini socket in FIN-WAIT-2",
        "still FIN-WAIT-2",
        "A socket that its program has closed is replaced already here; from then on nothing is logged.",
    ),
    Difference(
        "mini-unseen",
        "→ TCP_CLOSE, and no mini socket was seen",
        "TIME-WAIT or CLOSED",
        "TIME-WAIT that ends between two samples, or that tcp_max_tw_buckets forbids, leaves no trace.",
    ),
    Difference(
        "one-segment",
        "two changes by one segment",
        "one move",
        "A segment with an ACK of the FIN and a FIN is two steps of Linux, and one of RFC 9293 §3.3.2.",
    ),
    Difference(
        "request",
        "a request socket, until the third segment",
        "SYN-RECEIVED",
        "A half-open connection is only a request at its listener: sock_diag shows it, nothing logs it.",
    ),
    Difference(
        "request-gone",
        "the request socket is gone",
        "LISTEN",
        "An RST removed it (RFC 9293 §3.10.7.4: back to LISTEN), or no SYN-ACK of it was answered.",
    ),
    Difference(
        "request-unseen",
        "no request socket was seen",
        "LISTEN or SYN-RECEIVED",
        "A request that ends between two samples leaves no trace; with SYN cookies there is none.",
    ),
    Difference(
        "no-socket",
        "no socket",
        "CLOSED",
        "A port at which nobody listens has no socket: the kernel answers for it.",
    ),
    Difference(
        "silent",
        "→ TCP_CLOSE, and no segment at that time",
        "CLOSED, by itself",
        "Retries are exhausted, an orphan's time is up, a program gives its socket up: without a word.",
    ),
    Difference(
        "time-wait-over",
        "the mini socket is gone",
        "CLOSED",
        "2MSL has passed, the port was used again, or an RST has ended TIME-WAIT (RFC 1337).",
    ),
    Difference(
        "request-reset",
        "the request socket is gone with its own RST",
        "CLOSED",
        "It had no room for the connection and aborted it (RFC 9293 §3.10.5); the listener stays.",
    ),
    Difference(
        "no-syn",
        "→ SYN_SENT → TCP_CLOSE, and no SYN of it",
        "still CLOSED",
        "connect() failed before it sent one (EADDRNOTAVAIL), or it never came to where we captured.",
    ),
    Difference(
        "no-fin",
        "→ FIN_WAIT1 or LAST_ACK, and no FIN of it",
        "as before",
        "It was lost, or late: it never came to where we captured, or only when all was over.",
    ),
    Difference(
        "repair",
        "→ ESTABLISHED, and no SYN before it",
        "ESTABLISHED, as before",
        "TCP_REPAIR puts a socket back into the state that it had: it is told, and sends nothing.",
    ),
    Difference(
        "old-copy",
        "no socket sent this SYN",
        "an old duplicate",
        "It repeats the SYN of an earlier connection: a copy that the network made (RFC 9293 §3.5).",
    ),
    Difference(
        "not-taken",
        "did not happen",
        "the segment did not arrive",
        "What was captured may yet be dropped, at a full accept queue or a filter: nothing proves it.",
    ),
)

BY_CODE = {difference.code: difference for difference in DIFFERENCES}
