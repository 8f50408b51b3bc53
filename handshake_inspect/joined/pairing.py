"""The connections of one place -> those of the other.

In: two `Vantage`s. Out: `Pairing`. Connections are paired by their sockets and initial numbers, as far as these were
not changed on the path: a NAT changes sockets, a firewall may change initial numbers (RFC 6528), and neither changes
everything of both ends. The strictest rule comes first: the rules go from "all is equal" to "the same server, the same
timestamps". A rule pairs only connections that it finds equally often at both places: once, or, if sockets were used
again, in order. Pairs of a weak rule count only if `strangers` finds proof that they are one connection; in doubt, a
connection was seen at one place only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.joined.strangers import Pairs, proven
from handshake_inspect.joined.vantage import Vantage, numbered

#: What two connections have in common, a column each; and which connections have all of it.
Key = tuple[Sequence[NDArray[np.uint64]], Mask]

ADDRESSES = ("hi", "lo", "port")
#: Rules, surest first: what must be equal. "o" and "r" are the sockets of originator and responder, "x" and "y" their
#: initial numbers, "s" and "t" the timestamps of their first SYNs (RFC 7323), "i" the IP identification of the
#: originator's first segment.
RULES = ("orxy", "orx", "ory", "ors", "ort", "or", "xy", "rx", "ox", "ry", "oy", "rs", "rt", "os", "ot", "ri", "oi")
#: Those that find strangers too: sockets are used again, a busy server has many clients, an identification 16 bits.
WEAK = frozenset({"or", "rs", "rt", "os", "ot", "ri", "oi"})


@dataclass
class Pairing:
    """Every connection that was seen at a place, numbered as the streams of the first; then what only the second saw.

    Arrays of shape (c,).
    """

    #: Rows of the `VerdictTable`s; -1: not seen at that place.
    first: Rows
    second: Rows
    #: The originator at one place is the responder at the other: both ends sent a SYN.
    is_flipped: Mask
    #: The second place tells which end is which, as it saw more of the SYNs.
    second_tells: Mask
    #: An initial number, or both sockets and a timestamp, are the same at both places.
    is_sure: Mask

    def __len__(self) -> int:
        """The number of connections."""
        return len(self.first)

    @property
    def at_both(self) -> Mask:
        """The connections that were seen at both places."""
        return (self.first >= 0) & (self.second >= 0)

    def as_told(self, first: Vantage) -> tuple[Vantage, Pairing]:
        """Exchange the ends of the first place where only the second one knows which is the originator."""
        wrong = self.second_tells & self.is_flipped
        which = np.zeros(len(first), np.bool_)
        which[self.first[wrong]] = True
        return first.exchanged(which), replace(self, is_flipped=self.is_flipped & ~wrong)


def pair(first: Vantage, second: Vantage) -> Pairing:
    """Find the connections that both places saw."""
    left, right = first.inspection.connections.order, second.inspection.connections.order
    partner, is_flipped, is_sure = np.full(len(first), -1, np.int64), *np.zeros((2, len(first)), np.bool_)
    for rule in RULES:
        for flipped in (False, True):
            one, other = _alike(_key(first, rule, flipped=False), _key(second, rule, flipped=flipped), left, right)
            if rule in WEAK:
                sure = np.flatnonzero(is_sure)
                found = proven(first, second, Pairs(one, other, flipped), Pairs(sure, partner[sure]))
                one, other = one[found], other[found]
            partner[one], is_flipped[one], is_sure[one] = other, flipped, rule not in WEAK
            left, right = left[~np.isin(left, one)], right[~np.isin(right, other)]
    seen = partner >= 0
    second_tells = np.zeros(len(first), np.bool_)
    second_tells[seen] = second.iss_known[partner[seen]].sum(axis=1) > first.iss_known[seen].sum(axis=1)
    order, alone = first.inspection.connections.order, np.zeros(len(right), np.bool_)
    return Pairing(
        first=np.append(order, np.full(len(right), -1)),
        second=np.append(partner[order], right),
        is_flipped=np.append(is_flipped[order], alone),
        second_tells=np.append(second_tells[order], ~alone),
        is_sure=np.append(is_sure[order], alone),
    )


def _alike(key: Key, other: Key, left: Rows, right: Rows) -> tuple[Rows, Rows]:
    """Return those of the connections `left` and `right` that have equal keys and are equally many, in order."""
    left, right = left[key[1][left]], right[other[1][right]]
    if not len(left) or not len(right):
        return left[:0], right[:0]
    columns = [np.concatenate([a[left], b[right]]) for a, b in zip(key[0], other[0], strict=True)]
    group = numbered(columns)
    a, b = group[: len(left)], group[len(left) :]
    count_a, count_b = (np.bincount(side, minlength=int(group.max()) + 1) for side in (a, b))
    same = count_a == count_b
    left_order, right_order = np.argsort(a, kind="stable"), np.argsort(b, kind="stable")
    return left[left_order[same[a[left_order]]]], right[right_order[same[b[right_order]]]]


def _key(place: Vantage, rule: str, *, flipped: bool) -> Key:
    """Return the columns that a rule compares; `flipped`: with originator and responder exchanged."""
    columns: list[NDArray[np.uint64]] = [place.sockets["ip_version"]]
    known = np.ones(len(place), np.bool_)
    for what in rule:
        for column, is_known in _parts(place, what, flipped=flipped):
            columns.append(column)
            known &= is_known
    return columns, known


def _parts(place: Vantage, what: str, *, flipped: bool) -> Iterator[tuple[NDArray[np.uint64], Mask]]:
    everywhere = np.ones(len(place), np.bool_)
    if what in "or":
        end = what if not flipped else "o" if what == "r" else "r"
        yield from ((place.sockets[f"{end}_{part}"], everywhere) for part in ADDRESSES)
    elif what in "xy":
        side = "xy".index(what) ^ flipped
        yield place.iss[:, side].astype(np.uint64), place.iss_known[:, side]
    elif what in "st":
        value = place.table[f"syn_timestamp_{'or'['st'.index(what) ^ flipped]}"]
        yield value.astype(np.uint64), value != NONE
    else:
        ip_id = place.first_ip_id[:, int(flipped)].astype(np.uint64)
        yield ip_id, ip_id != 0
