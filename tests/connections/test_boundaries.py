"""Where connections begin: the oracle of `tests.engine` says it of whole conversations, here is what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.connections.splitting.boundaries import OctetsOnSyns, boundaries
from handshake_inspect.connections.splitting.rows import ACK, FIN, RST, SYN
from handshake_inspect.connections.splitting.syn_questions import ACKNOWLEDGES_WITHIN_OCTETS, ASKED_OF, SIDE_BIT
from handshake_inspect.table import Table
from handshake_inspect.tcp.seqnum import MODULUS

near = st.one_of(st.integers(0, 70), st.integers(MODULUS - 70, MODULUS - 1))
syns = st.tuples(st.integers(0, 1), near, st.integers(1, 40))


@given(st.lists(syns, max_size=12), st.lists(st.tuples(st.integers(0, 1), near), min_size=1, max_size=12))
def test_octets_on_syns_are_what_a_list_of_them_says(
    added: list[tuple[int, int, int]], asked: list[tuple[int, int]]
) -> None:
    octets = OctetsOnSyns()
    for side, number, count in added:
        octets.add(side << SIDE_BIT | number, count)
    for side, number in asked:
        wanted = any(one == side and (number - first) % MODULUS <= count for one, first, count in added)
        assert octets.holds(side << SIDE_BIT | number) == wanted


#: Sending side, control bits, SEG.SEQ, SEG.ACK and octets of a row.
Row = tuple[int, int, int, int, int]


def last(rows: Sequence[Row], before: int, wanted: Callable[[Row], bool]) -> int:
    return next((i for i in reversed(range(before)) if wanted(rows[i])), -1)


def refuses(rows: Sequence[Row], i: int) -> bool:
    """Does an RST of one that has sent a SYN only refuse a SYN-ACK of another?"""
    side, flags, seq, _, _ = rows[i]
    said, heard = (
        last(rows, i, wanted) for wanted in (lambda r: r[0] == side and not r[1] & RST, lambda r: r[0] != side)
    )
    if flags & (RST | ACK) != RST or said < 0 or rows[said][1] & (SYN | ACK) != SYN:
        return False
    of_other = heard < said or rows[heard][1] & (SYN | ACK | RST) == SYN | ACK
    return of_other and (seq - rows[said][2] - 1) % MODULUS > rows[said][4]


def plainly(rows: Sequence[Row]) -> tuple[list[int], list[int]]:
    """Say of each SYN of one conversation, one after the other, whether it begins a connection, or is not taken."""
    begin, new, not_taken = 0, list[int](), list[int]()
    for i, (side, flags, seq, ack, _) in enumerate(rows):
        if flags & (SYN | RST) != SYN:
            continue
        opening = [one for one in rows[begin:i] if one[1] & (SYN | RST) == SYN]
        names = {one[:3:2] for one in opening}
        answered = {(1 - one[0], (one[3] - 1) % MODULUS) for one in opening if one[1] & ACK}
        following = next((one for one in rows[i:] if one[0] != side), None)
        bare = [
            last(rows, i, lambda r, whose=whose: r[0] == whose and r[1] & (SYN | ACK | RST) == SYN)  # type: ignore[misc]
            for whose in (side, 1 - side)
        ]
        begins = False
        if flags & ACK:
            answers = (1 - side, (ack - 1) % MODULUS)
            closed = min(last(rows, i, lambda r, one=one: r[0] == one and r[1] & (FIN | RST) == FIN) for one in (0, 1))  # type: ignore[misc]
            knows = (side, seq) in names or answers in names
            knows |= any(
                one[0] == answers[0] and (answers[1] - one[2]) % MODULUS <= one[4] for one in opening if one[4]
            )
            agreed = following is not None and following[3] == (seq + 1) % MODULUS
            asks = [k for k, r in enumerate(rows) if r[0] != side and r[1] & (SYN | ACK | RST) == SYN]
            late = next((rows[k] for k in asks if k > i), None)
            replaces = late is not None and ack == (late[2] + 1) % MODULUS and any(begin <= k < i for k in asks)
            begins = ((closed >= begin and agreed) or replaces) and not knows
            alone = all(one[0] == side for one in rows)
            begins |= alone and bool(answered) and (side, seq) not in names and answers not in answered
        elif bare[0] >= 0 and rows[bare[0]][2] == seq and not ended(rows, bare[0], i, but=side):
            not_taken += [i] if bare[0] in not_taken else []
        elif i == begin or (bare[0] < begin and (side, seq) in answered) or crosses(rows, bare[1], i, begin):
            pass
        elif ignored(rows, i, following):
            not_taken.append(i)
        else:
            begins = True
        if begins:
            new.append(i)
            begin = i
    return new, not_taken


def ended(rows: Sequence[Row], a: int, b: int, but: int) -> bool:
    """Is there a FIN or RST from row `a` to before `b`, besides RSTs of a side that only refuse?"""
    return any(rows[i][1] & (FIN | RST) and not (rows[i][0] == but and refuses(rows, i)) for i in range(a, b))


def crosses(rows: Sequence[Row], other: int, i: int, begin: int) -> bool:
    """Does a SYN cross the other side's, with nothing of its own side, no FIN and no RST between?"""
    silent = last(rows, i, lambda r: r[0] == rows[i][0]) < other
    return other >= begin and silent and not any(one[1] & (FIN | RST) for one in rows[other:i])


def ignored(rows: Sequence[Row], i: int, following: Row | None) -> bool:
    """Is the other side's next segment a mere ACK, of something else or of what it had acknowledged before?"""
    if following is None or following[1] & (SYN | RST | ACK) != ACK:
        return False
    spoken = last(rows, i, lambda r: r[0] != rows[i][0] and r[1] & (ACK | RST) == ACK)
    old = spoken >= 0 and rows[spoken][3] == following[3]
    return old or (following[3] - rows[i][2] - 1) % MODULUS >= ACKNOWLEDGES_WITHIN_OCTETS


few = st.sampled_from([0, 1, 2, 3, 100, MODULUS - 1])
segment = st.tuples(
    st.integers(0, 1),
    st.sampled_from([SYN, SYN, SYN | ACK, SYN | ACK, ACK, ACK, FIN | ACK, FIN, RST, RST | ACK, SYN | FIN, 0]),
    few,
    few,
    st.sampled_from([0, 0, 0, 1, 3, 101]),
)
conversations = st.lists(st.lists(segment, min_size=1, max_size=14), min_size=1, max_size=3)


@given(conversations, st.booleans())
def test_columns_say_of_each_syn_what_looking_back_from_it_says(found: list[list[Row]], one_side: bool) -> None:
    if one_side:
        found = [[(0, *row[1:]) for row in rows] for rows in found]
    values = [(number, *row) for number, rows in enumerate(found) for row in rows]
    stored = Table.holding(
        {name: np.array(column) for name, column in zip(ASKED_OF, zip(*values, strict=True), strict=True)}
    )
    new, not_taken = (rows.tolist() for rows in boundaries(stored))
    begin, expected = 0, (list[int](), list[int]())
    for rows in found:
        for said, own in zip(expected, plainly(rows), strict=True):
            said += [begin + i for i in own]
        begin += len(rows)
    assert (new, not_taken) == expected
