"""Assumptions about TIME-WAIT for each system: how long it lasts, what restarts it, and how many ports it may take.

A capture shows when TIME-WAIT begins. Its end depends on the system that holds it: RFC 9293 §3.6.1 asks for 2 MSL,
and an MSL is two minutes (§3.4.2), but hardly any system waits that long. The range of ports from which connect()
takes one also depends on the system; each TIME-WAIT of a client occupies one of them. Read §3.6.1, §3.10.7.4 (eighth)
and RFC 6335 §6 first.
"""

from __future__ import annotations

from handshake_inspect.plain import plain

SECOND_NS = 1_000_000_000
#: Longest accepted TIME-WAIT; a longer one, added to a time, might not fit into 64 bits.
LONGEST_S = 1_000_000_000
#: Memory of a TIME-WAIT in Linux (slabinfo of 6.18, x86-64: objsize of tw_sock_TCP and tw_sock_TCPv6).
LINUX_OCTETS = 256


@plain
class PortRange:
    """The ephemeral ports, from which connect() takes one: first and last, both included."""

    first: int
    last: int
    #: Source of the range: a system and its setting; "" if the caller gave it.
    source: str = ""

    @property
    def count(self) -> int:
        """Count of ports."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.first}-{self.last}" + (f" ({self.source})" if self.source else "")


@plain
class Profile:
    """The assumed behaviour of the systems that hold TIME-WAIT."""

    #: Value of `time_wait[].profile`: a name of `PROFILES`, or a number of seconds with its unit ("45s").
    name: str
    length_ns: int
    #: The assumption in words.
    assumption: str
    #: The default range of ports from which connect() takes one.
    ports: PortRange
    #: Does every segment with an ACK except an RST restart it, or only a retransmitted FIN (§3.10.7.4, eighth)?
    any_segment_restarts: bool = False


#: The default of Linux (inet_init_net() in net/ipv4/af_inet.c). Profiles given in seconds use it too.
LINUX_PORTS = PortRange(32768, 60999, "Linux: ip_local_port_range")

PROFILES = {
    profile.name: profile
    for profile in (
        # TCP_TIMEWAIT_LEN (include/net/tcp.h), a constant that no sysctl changes; tcp_timewait_state_process()
        # reschedules for any segment with an ACK: measured with a FIN, late data, and a bare ACK.
        Profile("linux", 60 * SECOND_NS, "Linux: 60 s after the last ACK", LINUX_PORTS, any_segment_restarts=True),
        # RFC 6335 §6: the dynamic ports, which IANA never assigns.
        Profile(
            "rfc",
            240 * SECOND_NS,
            "RFC 9293: 2 MSL = 240 s after the last ACK",
            PortRange(49152, 65535, "RFC 6335: dynamic ports"),
        ),
        # net.inet.tcp.msl = 30000 ms; tcp_twcheck() looks for a repeated FIN. Solaris: tcp_time_wait_interval = 60000.
        # IPPORT_EPHEMERALFIRST (netinet/in.h) = 10000 is the default of net.inet.ip.portrange.first. FreeBSD 6 had
        # 49152 there, which now is the default of portrange.hifirst, used with IP_PORTRANGE_HIGH.
        Profile(
            "freebsd",
            60 * SECOND_NS,
            "FreeBSD: 60 s, twice its MSL of 30 s",
            PortRange(10000, 65535, "FreeBSD: net.inet.ip.portrange"),
        ),
        # net.inet.tcp.msl = 15000 ms; IPPORT_HIFIRSTAUTO (bsd/netinet/in.h) = 49152 is that of portrange.first.
        Profile(
            "macos",
            30 * SECOND_NS,
            "macOS: 30 s, twice its MSL of 15 s",
            PortRange(49152, 65535, "macOS: net.inet.ip.portrange"),
        ),
        # Microsoft documents 120 s since Windows Server 2003, 240 s for Windows 2000; it can be set from 30 to 300 s.
        # Ports: "The default dynamic port range for TCP/IP has changed" (KB 929851); before Vista 1025 to 5000.
        Profile(
            "windows",
            120 * SECOND_NS,
            "Windows: 120 s, the default of TcpTimedWaitDelay since Server 2003",
            PortRange(49152, 65535, "Windows: dynamicport, since Vista"),
        ),
    )
}


def profile_of(name: str | float) -> Profile:
    """Return the profile of this name, or of this number of seconds (45, "45", "45s", "0.5"). Raises ValueError."""
    text = str(name)
    found = PROFILES.get(text)
    if found is not None:
        return found
    from decimal import Decimal, InvalidOperation  # slow to import, and most profiles have a name

    try:
        seconds = Decimal(text.strip().removesuffix("s"))
    except InvalidOperation:
        raise ValueError(f"{text!r} is none of {', '.join(PROFILES)}, and no number of seconds") from None
    length_ns = int(seconds * SECOND_NS) if seconds.is_finite() and seconds <= LONGEST_S else 0
    if length_ns <= 0:
        raise ValueError(f"{text!r}: TIME-WAIT lasts more than 0 and at most {LONGEST_S:,} seconds")
    spelled = f"{seconds.normalize():f}"
    return Profile(f"{spelled}s", length_ns, f"{spelled} s, as asked for", LINUX_PORTS)
