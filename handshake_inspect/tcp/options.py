"""The option list of a TCP header (RFC 9293 §3.1, §3.2): kinds, lengths, and what each carries on a SYN.

In: the octets after the fixed header. Out: `Options`. From a list that is truncated or has wrong lengths only the
options before the error are read; nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from handshake_inspect.plain import plain

END, NO_OPERATION, MSS, WINDOW_SCALE, SACK_PERMITTED, TIMESTAMPS = 0, 1, 2, 3, 4, 8
#: RFC 7323 §2.3: the largest window shift in use; a larger one counts as this.
SHIFT_MAX = 14
SACK, MD5, USER_TIMEOUT, AUTHENTICATION, MPTCP, FAST_OPEN, EXPERIMENT = 5, 19, 28, 29, 30, 34, 254
#: RFC 6994 identifier of Fast Open in the shared experimental option (RFC 7413 §4.1.1, before kind 34).
FAST_OPEN_EXPERIMENT = b"\xf9\x89"
#: Valid lengths of options, kind and length octets included: RFC 9293 §3.2, RFC 7323 §2.2 and §3.2, RFC 2018 §2
#: and §3, RFC 2385 §3.0, RFC 5482 §3.1, RFC 5925 §2.2, RFC 8684 §3.1 to §3.9, RFC 7413 §4.1.1.
LENGTHS = {
    MSS: (4,), WINDOW_SCALE: (3,), SACK_PERMITTED: (2,), SACK: (10, 18, 26, 34), TIMESTAMPS: (10,), MD5: (18,),
    USER_TIMEOUT: (4,), AUTHENTICATION: range(4, 41), MPTCP: range(3, 41), FAST_OPEN: (2, *range(6, 19, 2)),
}  # fmt: skip
#: Octets of their values in use here: for MPTCP the subtype, for an experiment its identifier.
ASKED_OCTETS = {MSS: 2, WINDOW_SCALE: 1, MPTCP: 1, EXPERIMENT: 2}
#: RFC 8684 §3: subtypes of MPTCP that a SYN carries.
MP_CAPABLE, MP_JOIN = 0, 1


@plain
class Options:
    """The values of one option list. None or False: the option is absent or malformed."""

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
    #: The segment is signed: "md5" (RFC 2385 §3.0) or "tcp-ao" (RFC 5925 §2.2).
    signature: str | None = None
    #: Kind and length of the first option with an invalid length; None without one. An option that ends beyond the list
    #: does not count: the capture may have truncated the frame.
    malformed: tuple[int, int] | None = None

    @property
    def mptcp_subtype(self) -> int | None:
        """RFC 8684 §3: MP_CAPABLE, MP_JOIN ...; None without the option."""
        return self.mptcp[0] >> 4 if self.mptcp else None

    @property
    def mptcp_version(self) -> int | None:
        """RFC 8684 §3.1: the version that MP_CAPABLE names; None without it."""
        return self.mptcp[0] & 0xF if self.mptcp and self.mptcp_subtype == MP_CAPABLE else None


def walk(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (kind, value) of each option up to the end of the list or the first broken length."""
    for at, kind, length in _places(octets):
        if length >= 2 and at + length <= len(octets):
            yield kind, octets[at + 2 : at + length]


def is_cut(octets: bytes) -> bool:
    """Did the capture truncate this list? A complete one is whole words (RFC 9293 §3.1), as `capture.headers` ensures.

    Options missing from a truncated list may have been sent.
    """
    return len(octets) % 4 != 0


def _places(octets: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the offset of each option but "no operation", its kind, and its length octet.

    The last one may have a length below 2, or one that reaches beyond the list.
    """
    at = 0
    while at < len(octets) and octets[at] != END:
        if octets[at] == NO_OPERATION:
            at += 1
        elif at + 1 < len(octets):
            yield at, octets[at], octets[at + 1]
            at = at + octets[at + 1] if octets[at + 1] >= 2 else len(octets)
        else:
            return


def gist(octets: bytes) -> bytes:
    """Return an option list up to its end, with zeros for values not used here: cookies, keys, timestamps, blocks.

    `parse` returns the same for it, except for these octets.
    """
    told, end = bytearray(octets), 0
    for at, kind, length in _places(octets):
        end = at + max(length, 2)
        forgets = at + 2 + ASKED_OCTETS.get(kind, 0)
        if forgets < end <= len(told):
            told[forgets:end] = bytes(end - forgets)
    return bytes(told[:end])


def parse(octets: bytes) -> Options:
    """Parse the option list of a SYN. Of a repeated option the first counts."""
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
        signature=_signature(seen),
        malformed=_malformed(octets),
    )


def _signature(seen: Mapping[int, bytes]) -> str | None:
    # RFC 5925 §2.2: a segment has one of the two.
    for kind, name in ((MD5, "md5"), (AUTHENTICATION, "tcp-ao")):
        if kind in seen and 2 + len(seen[kind]) in LENGTHS[kind]:
            return name
    return None


def _malformed(octets: bytes) -> tuple[int, int] | None:
    """Return kind and length of the first option of a list with an invalid length; None without one."""
    for _, kind, length in _places(octets):
        if length < 2 or length not in LENGTHS.get(kind, (length,)):
            return kind, length
    return None


def _cookie(value: bytes | None) -> bytes | None:
    # RFC 7413 §4.1.1: no cookie, or 4 to 16 octets, an even number.
    if value is None or (value and (len(value) % 2 or not 4 <= len(value) <= 16)):
        return None
    return value
