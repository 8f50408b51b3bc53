"""The meaning of an ICMP error in words, and the required reaction of TCP.

In: IP version, type and code of a message. Out: words, and one of `Kind`. Read RFC 9293 §3.9.2.2 first; RFC 5461 says
what systems really do, RFC 5927 §4.1 why an error is accepted only if it quotes a sequence number that was sent.
"""

from __future__ import annotations

from typing import Literal

#: Reaction of TCP to an error:
#:
#: - `hard`: it SHOULD abort the connection (SHLD-26); some systems only do so before it is open (RFC 5461 §2.1).
#: - `soft`: it MUST NOT abort (MUST-56), and tells the program (SHLD-25); some do abort while it opens (RFC 5461 §4).
#: - `path-mtu`: it sends smaller segments (RFC 1191, RFC 8201).
#: - `advice`: it does nothing. Source quench MUST be discarded (MUST-55, RFC 6633); redirects are for IP.
Kind = Literal["hard", "soft", "path-mtu", "advice"]

#: Types of ICMP (RFC 792) and of ICMPv6 (RFC 4443 §3) that quote the packet they are about.
UNREACHABLE, SOURCE_QUENCH, REDIRECT, TIME_EXCEEDED, PARAMETER_PROBLEM = 3, 4, 5, 11, 12
UNREACHABLE_6, TOO_BIG_6, TIME_EXCEEDED_6, PARAMETER_PROBLEM_6 = 1, 2, 3, 4
ERRORS = {
    4: (UNREACHABLE, SOURCE_QUENCH, REDIRECT, TIME_EXCEEDED, PARAMETER_PROBLEM),
    6: (UNREACHABLE_6, TOO_BIG_6, TIME_EXCEEDED_6, PARAMETER_PROBLEM_6),
}
FRAGMENTATION_NEEDED = 4

#: Codes of "unreachable" that are soft by RFC 9293. ICMP 11 and 12 (type of service) and ICMPv6 2 are not in its list;
#: they say the same about a route as 0 and 1 (ICMPv6: 0 and 3), and Linux treats them so (net/ipv4/icmp.c,
#: net/ipv6/icmp.c). All others are hard: "prohibited" is in RFC 5461 §2 for ICMPv6, the rest in Linux.
SOFT_UNREACHABLE = {4: (0, 1, 5, 11, 12), 6: (0, 2, 3)}

#: By IP version and type, the words of each code. RFC 792, RFC 1122 §3.2.2.1, RFC 1108 §6, RFC 1812 §5.2.7.1; RFC 4443
#: §3, RFC 6550 §20.13, RFC 7112 §6, RFC 8754 §5, RFC 8883 §2.
_CODES = {
    (4, UNREACHABLE): (
        "network unreachable", "host unreachable", "protocol unreachable", "port unreachable", "fragmentation needed",
        "source route failed", "destination network unknown", "destination host unknown", "source host isolated",
        "network administratively prohibited", "host administratively prohibited",
        "network unreachable for type of service", "host unreachable for type of service",
        "communication administratively prohibited", "host precedence violation", "precedence cutoff in effect",
    ),
    (4, SOURCE_QUENCH): ("source quench",),
    (4, REDIRECT): (
        "redirect for the network", "redirect for the host", "redirect for the type of service and network",
        "redirect for the type of service and host",
    ),
    (4, TIME_EXCEEDED): ("time to live exceeded", "fragment reassembly time exceeded"),
    (4, PARAMETER_PROBLEM): ("parameter problem", "required option missing", "bad length"),
    (6, UNREACHABLE_6): (
        "no route to destination", "communication administratively prohibited", "beyond scope of source address",
        "address unreachable", "port unreachable", "source address failed policy", "route to destination rejected",
        "error in source routing header", "headers too long",
    ),
    (6, TOO_BIG_6): ("packet too big",),
    (6, TIME_EXCEEDED_6): ("hop limit exceeded", "fragment reassembly time exceeded"),
    (6, PARAMETER_PROBLEM_6): (
        "erroneous header field", "unrecognized next header", "unrecognized IPv6 option",
        "first fragment without all headers", "segment routing: upper-layer header error",
        "unrecognized next header on the way", "extension header too big", "extension header chain too long",
        "too many extension headers", "too many options in extension header", "option too big",
    ),
}  # fmt: skip


def words(version: int, icmp_type: int, code: int) -> str:
    """Return the meaning of a message: "port unreachable"; its numbers if no RFC defines them."""
    codes = _CODES.get((version, icmp_type), ())
    return codes[code] if code < len(codes) else f"type {icmp_type} code {code}"


def kind(version: int, icmp_type: int, code: int) -> Kind:
    """Return the reaction of TCP to a message."""
    if version == 6:
        if icmp_type == TOO_BIG_6:
            return "path-mtu"
        return "hard" if icmp_type == UNREACHABLE_6 and code not in SOFT_UNREACHABLE[6] else "soft"
    if icmp_type in (SOURCE_QUENCH, REDIRECT):
        return "advice"
    if icmp_type == UNREACHABLE and code == FRAGMENTATION_NEEDED:
        # RFC 9293 lists it as a hard error; but §3.7.2 asks for path MTU discovery, which depends on it.
        return "path-mtu"
    return "hard" if icmp_type == UNREACHABLE and code not in SOFT_UNREACHABLE[4] else "soft"


def says_undelivered(version: int, icmp_type: int, code: int) -> bool:
    """Does a message say that the packet it quotes did not reach a socket, independent of its size?

    If so, a quoted SYN without any other answer was `unreachable`. True for "destination unreachable" except
    "fragmentation needed", for "time exceeded" (dropped on the path: RFC 792, RFC 4443 §3.3), and for "parameter
    problem" (dropped by the node that examined it). Path MTU and advice are false: the sender continues.
    """
    return kind(version, icmp_type, code) in ("hard", "soft")
