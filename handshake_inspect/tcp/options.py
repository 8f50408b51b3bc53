"""The option list of a TCP header (RFC 9293 §3.1, §3.2): kinds, lengths, and what each carries on a SYN.

In: the octets after the fixed header. Out: `Options`. A list that breaks off or lies about its lengths gives what
came before; nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

END, NO_OPERATION, MSS, WINDOW_SCALE, SACK_PERMITTED, TIMESTAMPS = 0, 1, 2, 3, 4, 8
#: RFC 7323 §2.3: the largest shift of a window that is used; a larger one counts as this.
SHIFT_MAX = 14
MPTCP, FAST_OPEN, EXPERIMENT = 30, 34, 254
#: RFC 6994 identifier of Fast Open in the shared experimental option (RFC 7413 §4.1.1, before kind 34).
FAST_OPEN_EXPERIMENT = b"\xf9\x89"


@dataclass(frozen=True, slots=True)
class Options:
    """What one option list says. None or False: the option is absent or malformed."""

    #: RFC 9293 §3.7.1, octets.
    mss: int | None = None
    #: RFC 7323 §2, shift count as sent (a receiver uses at most 14).
    window_scale: int | None = None
    #: RFC 2018 §2.
    sack_permitted: bool = False
    #: RFC 7323 §3.
    timestamps: bool = False
    #: RFC 7413 §4.1.1: b"" asks for a cookie, 4 to 16 octets are one.
    fast_open_cookie: bytes | None = None
    #: RFC 8684 §3: the subtype and what follows it.
    mptcp: bytes | None = None


def walk(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (kind, value) of each option up to the end of the list or the first broken length."""
    at = 0
    while at < len(octets) and octets[at] != END:
        kind = octets[at]
        if kind == NO_OPERATION:
            at += 1
            continue
        length = octets[at + 1] if at + 1 < len(octets) else 0
        if length < 2 or at + length > len(octets):
            return
        yield kind, octets[at + 2 : at + length]
        at += length


def parse(octets: bytes) -> Options:
    """Read the option list of a SYN. Of an option that stands twice the first counts."""
    seen: dict[int, bytes] = {}
    for kind, value in walk(octets):
        if kind == EXPERIMENT and value[:2] == FAST_OPEN_EXPERIMENT:
            kind, value = FAST_OPEN, value[2:]
        seen.setdefault(kind, value)
    mss, shift = seen.get(MSS, b""), seen.get(WINDOW_SCALE, b"")
    return Options(
        mss=int.from_bytes(mss, "big") if len(mss) == 2 else None,
        window_scale=shift[0] if len(shift) == 1 else None,
        sack_permitted=seen.get(SACK_PERMITTED) == b"",
        timestamps=len(seen.get(TIMESTAMPS, b"")) == 8,
        fast_open_cookie=_cookie(seen.get(FAST_OPEN)),
        mptcp=seen.get(MPTCP),
    )


def _cookie(value: bytes | None) -> bytes | None:
    # RFC 7413 §4.1.1: no cookie, or 4 to 16 octets, an even number.
    if value is None or (value and (len(value) % 2 or not 4 <= len(value) <= 16)):
        return None
    return value
