"""Sequence number arithmetic modulo 2**32 (RFC 9293 §3.4).

A number has no absolute size: `a` is before `b` when the shorter way round the circle leads forward from `a` to `b`.
"""

MODULUS = 1 << 32


def add(number: int, octets: int) -> int:
    """Return the number `octets` further on (or back, if negative)."""
    return (number + octets) % MODULUS


def distance(start: int, end: int) -> int:
    """Return the signed way from `start` to `end`: -2**31 to 2**31 - 1."""
    return (end - start + (1 << 31)) % MODULUS - (1 << 31)


def before(a: int, b: int) -> bool:
    """Is `a` < `b` in the sense of RFC 9293 §3.4?"""
    return distance(a, b) > 0


def spelled(letter: str, relative: int) -> str:
    """Spell a number relative to an initial sequence number in letters: "x", "x+1", "x+1+1460", "x-3"."""
    if relative == 0:
        return letter
    if relative == 1:
        return f"{letter}+1"
    if relative > 1:
        return f"{letter}+1+{relative - 1}"
    return f"{letter}-{-relative}"
