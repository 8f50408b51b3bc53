"""How long TIME-WAIT lasts, and what restarts it, by whose rules: the assumption under every deadline.

A capture shows when TIME-WAIT begins. When it ends is a matter of the system that holds it: RFC 9293 §3.6.1 asks for
2 MSL, and an MSL is two minutes (§3.4.2), which hardly anybody waits. Read §3.6.1 and §3.10.7.4 (eighth) first.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

SECOND_NS = 1_000_000_000
#: More than this is no TIME-WAIT, and would not fit beside a time of day in 64 bits.
LONGEST_S = 1_000_000_000
#: What Linux keeps of a connection in TIME-WAIT (slabinfo of 6.18, x86-64: objsize of tw_sock_TCP and tw_sock_TCPv6).
LINUX_OCTETS = 256


@dataclass(frozen=True, slots=True)
class Profile:
    """One assumption about TIME-WAIT."""

    #: As it stands in `time_wait[].profile`: a name of `PROFILES`, or a number of seconds with its unit ("45s").
    name: str
    length_ns: int
    #: The assumption in words.
    assumption: str
    #: Does every segment with an ACK start the time again, but an RST, or only a repeated FIN (§3.10.7.4, eighth)?
    any_segment_restarts: bool = False


PROFILES = {
    profile.name: profile
    for profile in (
        # TCP_TIMEWAIT_LEN (include/net/tcp.h), a constant that no sysctl changes; tcp_timewait_state_process()
        # reschedules for whatever has an ACK: measured with a FIN, late data, and a bare ACK.
        Profile("linux", 60 * SECOND_NS, "Linux: 60 s after the last ACK", any_segment_restarts=True),
        Profile("rfc", 240 * SECOND_NS, "RFC 9293: 2 MSL = 240 s after the last ACK"),
        # net.inet.tcp.msl = 30000 ms; tcp_twcheck() looks for a repeated FIN. Solaris: tcp_time_wait_interval = 60000.
        Profile("freebsd", 60 * SECOND_NS, "FreeBSD: 60 s, twice its MSL of 30 s"),
        # net.inet.tcp.msl = 15000 ms.
        Profile("macos", 30 * SECOND_NS, "macOS: 30 s, twice its MSL of 15 s"),
        # Microsoft documents 120 s since Windows Server 2003, 240 s for Windows 2000; it can be set from 30 to 300 s.
        Profile("windows", 120 * SECOND_NS, "Windows: 120 s, the default of TcpTimedWaitDelay since Server 2003"),
    )
}


def profile_of(text: str) -> Profile:
    """Return the profile of this name, or of this number of seconds ("45", "45s", "0.5"). Raises ValueError."""
    found = PROFILES.get(text)
    if found is not None:
        return found
    try:
        seconds = Decimal(text.strip().removesuffix("s"))
    except InvalidOperation:
        raise ValueError(f"{text!r} is none of {', '.join(PROFILES)}, and no number of seconds") from None
    length_ns = int(seconds * SECOND_NS) if seconds.is_finite() and seconds <= LONGEST_S else 0
    if length_ns <= 0:
        raise ValueError(f"{text!r}: TIME-WAIT lasts more than 0 and at most {LONGEST_S:,} seconds")
    spelled = f"{seconds.normalize():f}"
    return Profile(f"{spelled}s", length_ns, f"{spelled} s, as asked for")
