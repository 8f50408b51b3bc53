"""Sequence number arithmetic modulo 2**32 (RFC 9293 §3.4).

Sequence numbers have no absolute order: `a` is before `b` if the shorter way round the circle leads forward from `a`
to `b`.
"""

MODULUS = 1 << 32


def add(number: int, octets: int) -> int:
    """Return the sequence number `octets` after `number` (before it, if negative)."""
    return (number + octets) % MODULUS


def distance(start: int, end: int) -> int:
    """Return the signed distance from `start` to `end`: -2**31 to 2**31 - 1."""
    return (end - start + (1 << 31)) % MODULUS - (1 << 31)


def before(a: int, b: int) -> bool:
    """Is `a` < `b` in the sense of RFC 9293 §3.4?"""
    return distance(a, b) > 0


def spelled(letter: str, relative: int) -> str:
    """Return a relative sequence number in symbols: "x", "x+1", "x+1+1460", "x-3"."""
    if relative == 0:
        return letter
    if relative == 1:
        return f"{letter}+1"
    if relative > 1:
        return f"{letter}+1+{relative - 1}"
    return f"{letter}-{-relative}"
