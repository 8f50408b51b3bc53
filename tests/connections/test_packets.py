"""When captures are told apart that show most packets more than once, and from when on it is certain that none does."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.connections.copies.packets import CopyEvidence

#: Packets of a partition that one capture shows: in conversations that are certainly doubled, or seem so, and others.
COUNTS = st.tuples(*[st.integers(0, 20)] * 3)


def evidence(doubled: int, undecided: int, others: int) -> CopyEvidence:
    return CopyEvidence(
        *(Counter({0: count}) for count in (doubled + undecided + others, doubled, undecided)),
    )


@given(st.lists(COUNTS, min_size=1, max_size=6), st.integers(0, 5))
def test_a_capture_that_is_ruled_out_is_not_trusted_in_the_end(partitions: list[tuple[int, int, int]], at: int) -> None:
    whole, so_far = CopyEvidence(), CopyEvidence()
    for number, counts in enumerate(partitions):
        whole += evidence(*counts)
        if number <= at:
            so_far += evidence(*counts)
    if so_far.rules_out(Counter({0: whole.shown[0]})):
        assert not whole.trusted()


def test_a_third_without_copies_rules_a_capture_out() -> None:
    for others, ruled_out in ((30, False), (31, True)):
        assert evidence(0, 0, others).rules_out(Counter({0: 100})) is ruled_out
        assert evidence(0, 50, others).rules_out(Counter({0: 150})) is ruled_out
    assert not evidence(40, 0, 31).rules_out(Counter({0: 150}))
