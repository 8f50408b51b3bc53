"""Rows are put in order of time: by the rule, whatever the blocks, over one capture and over several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.capture import order
from handshake_inspect.capture.merge import Feed, Merge, lanes_of
from handshake_inspect.capture.order import INTERFACES_NS, QUEUE_NS, QUEUE_RECORDS, Disorder, Ordering
from handshake_inspect.capture.pieces import Piece
from handshake_inspect.capture.records import Records
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.table import Block, DatagramTable, SegmentTable

MS = 1_000_000
START = 1_700_000_000_000_000_000
#: One frame: milliseconds since START, and its interface; -1 while only one is described.
Frame = tuple[int, int]
Found = list[tuple[int, int]]


def records_of(frames: Sequence[Frame], first: int) -> Records:
    """Make records of frames, of which nothing but time, number and interface is looked at."""
    count = len(frames)
    nothing = np.zeros(count, np.int64)
    return Records(
        buffer=np.zeros(0, np.uint8), offset=nothing, captured=nothing, original=nothing,
        time_ns=np.array([START + time * MS for time, _ in frames], np.int64),
        frame=np.arange(first, first + count), link_type=np.ones(count, np.uint16),
        interface=np.array([interface for _, interface in frames], np.int64),
    )  # fmt: skip


def block_of(records: Records, capture: int) -> Block:
    """Decode them: frames of an even number are segments, of those that 3 divides none holds a row, all others UDP."""
    is_segment = records.frame % 2 == 0
    is_datagram = ~is_segment & (records.frame % 3 != 0)

    def columns(kind: type[SegmentTable] | type[DatagramTable], rows: np.ndarray) -> dict[str, np.ndarray]:
        found = {name: np.zeros(int(rows.sum()), dtype) for name, dtype in kind.DTYPES.items()}
        found |= {"time_ns": records.time_ns[rows], "frame": records.frame[rows]}
        found["capture"] = np.full(int(rows.sum()), capture)
        return found

    return Block(SegmentTable(columns(SegmentTable, is_segment)), DatagramTable(columns(DatagramTable, is_datagram)))


def cut(frames: Sequence[Frame], sizes: Sequence[int], capture: int = 0) -> Iterator[tuple[Records, Block]]:
    """Yield the frames in blocks of these sizes, again and again."""
    at, turn = 0, 0
    while at < len(frames):
        size = sizes[turn % len(sizes)]
        records = records_of(frames[at : at + size], at + 1)
        yield records, block_of(records, capture)
        at, turn = at + size, turn + 1


def ordered(frames: Sequence[Frame], sizes: Sequence[int]) -> tuple[Found, Found, Disorder]:
    """Return capture and number of the segments, of the datagrams, and what was found of the times."""
    disorder = Disorder()
    ordering = Ordering(0, disorder)
    pieces: list[Piece] = []
    for records, block in cut(frames, sizes):
        pieces += ordering.add(records, block)
        assert all(piece.last[0] <= ordering.settled for piece in pieces)
    pieces += ordering.finish()
    return *rows_of([piece.block for piece in pieces]), disorder


def rows_of(blocks: list[Block]) -> tuple[Found, Found]:
    return tuple(
        [row for table in tables for row in zip(table["capture"].tolist(), table["frame"].tolist(), strict=True)]
        for tables in ([block.segments for block in blocks], [block.datagrams for block in blocks])
    )  # type: ignore[return-value]


def keys_by_the_rule(frames: Sequence[Frame]) -> list[int]:
    """Say where each frame belongs, one after the other: what the docstring of `capture.order` says."""
    latest: list[int] = []
    latest_of: dict[int, int] = {}
    floor, keys = -(1 << 63), []
    for i, (time, interface) in enumerate(frames):
        ns = START + time * MS
        before = latest[-1] if latest else ns
        if latest and interface >= 0 > frames[i - 1][1]:
            floor = before - QUEUE_NS
        interface = max(interface, 0)
        late = latest_of.get(interface, ns) - ns > QUEUE_NS or before - ns > INTERFACES_NS
        earliest = latest[i - order.QUEUE_RECORDS] if i >= order.QUEUE_RECORDS else -(1 << 63)
        keys.append(max(before if late else ns, earliest, floor))
        latest.append(max(before, ns))
        latest_of[interface] = max(latest_of.get(interface, ns), ns)
    return keys


#: Times that wander, step back a little, and now and then jump.
WANDERING = st.lists(
    st.tuples(st.sampled_from([0, 0, 1, 1, 5, 40, -3, -60, -90, 300, -101, -1500, -2500, 5000]), st.integers(0, 2)),
    max_size=60,
)


@pytest.mark.parametrize("remembered", [4, QUEUE_RECORDS])
@given(steps=WANDERING, sizes=st.lists(st.integers(1, 25), min_size=1, max_size=4), alone=st.integers(0, 60))
def test_rows_stand_where_the_rule_says_whatever_the_blocks(
    remembered: int, steps: list[Frame], sizes: list[int], alone: int
) -> None:
    times = np.cumsum([step for step, _ in steps]).tolist()
    interfaces = [-1 if i < alone else interface for i, (_, interface) in enumerate(steps)]
    frames = list(zip(times, interfaces, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "QUEUE_RECORDS", remembered)
        keys = keys_by_the_rule(frames)
        segments, datagrams, disorder = ordered(frames, sizes)
        assert (segments, datagrams, disorder) == ordered(frames, [len(frames) or 1])
    expected = sorted(range(1, len(frames) + 1), key=lambda number: keys[number - 1])
    assert segments == [(0, number) for number in expected if number % 2 == 0]
    assert datagrams == [(0, number) for number in expected if number % 2 and number % 3]


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4), min_size=1, max_size=5))
def test_the_latest_so_far_is_that_of_the_same_interface_at_all_times_that_64_bits_hold(own: list[list[int]]) -> None:
    which = np.repeat(np.arange(len(own)), [len(times) for times in own])
    found = order._latest_so_far(np.array([time for times in own for time in times], np.int64), which)
    assert found.tolist() == [max(times[: place + 1]) for times in own for place in range(len(times))]


def test_a_capture_in_order_is_handed_on_without_a_copy_each_block_once_the_next_has_settled_it() -> None:
    frames = [(time, -1) for time in range(0, 4000, 2)]
    disorder = Disorder()
    ordering = Ordering(0, disorder)
    blocks = list(cut(frames, [1000]))
    pieces = [list(ordering.add(*one)) for one in blocks] + [list(ordering.finish())]
    assert [len(some) for some in pieces] == [0, 1, 1]
    for (_, block), (piece,) in zip(blocks, pieces[1:], strict=True):
        assert np.shares_memory(piece.block.segments["time_ns"], block.segments["time_ns"])
        assert len(piece.block.segments) == len(block.segments)
    assert disorder == Disorder()


def test_what_lies_a_little_behind_is_put_in_order_and_counted() -> None:
    found = ordered([(0, 0), (12, 0), (4, 0), (7, 0), (13, 0), (3, 0)], [2])
    assert found[0] == [(0, 6), (0, 4), (0, 2)]
    assert found[2] == Disorder(frames=3, largest_ns=10 * MS)


def test_a_clock_that_was_set_leaves_the_order_of_the_file() -> None:
    frames = [(0, 0), (1, 0), (5, 0), (-3195, 0), (-3194, 0), (-3190, 0), (-3188, 0), (-3187, 0)]
    found = ordered(frames, [3])
    assert found[0] == [(0, 2), (0, 4), (0, 6), (0, 8)]
    assert found[2] == Disorder(out_of_time=5, jumps=1, largest_jump_ns=3200 * MS, first_jump_frame=4)


@pytest.mark.parametrize("behind", [150, 1999])
def test_interfaces_that_take_turns_are_merged(behind: int) -> None:
    own, other = [(time, 0) for time in range(0, behind, 7)], [(time, 1) for time in range(1, behind, 7)]
    segments, _, disorder = ordered(own + other, [11])
    times = [(own + other)[number - 1][0] for _, number in segments]
    assert times == sorted(times)
    assert disorder.jumps == 0
    assert disorder.frames == sum(time < own[-1][0] for time, _ in other)


def test_times_at_both_ends_of_what_64_bits_hold() -> None:
    records = records_of([(0, 0)] * 4, 1)
    records.time_ns = np.array([(1 << 63) - 1, -(1 << 63), (1 << 63) - 1, -(1 << 63)], np.int64)
    disorder = Disorder()
    ordering = Ordering(0, disorder)
    pieces = [*ordering.add(records, block_of(records, 0)), *ordering.finish()]
    assert rows_of([piece.block for piece in pieces])[0] == [(0, 2), (0, 4)]
    assert (disorder.jumps, disorder.largest_jump_ns) == (2, (1 << 64) - 1)


# --- several captures ------------------------------------------------------------------------------------------------


def feeds_of(captures: Sequence[Sequence[int]], sizes: Sequence[int], opened: list[int]) -> list[Feed]:
    """Make a feed of each list of times; `opened` counts the captures that are open."""

    def blocks(capture: int) -> Iterator[tuple[Records, Block]]:
        opened.append(opened[-1] + 1)
        yield from cut([(time, 0) for time in captures[capture]], sizes, capture)
        opened.append(opened[-1] - 1)

    return [
        Feed(
            capture,
            lambda capture=capture: blocks(capture),  # type: ignore[misc]
            Disorder(),
            START + times[0] * MS if times else None,
            is_instant=len(set(times)) < 2,
        )
        for capture, times in enumerate(captures)
    ]


@given(
    captures=st.lists(
        st.lists(st.integers(0, 9000) | st.integers(0, 5), max_size=30).map(sorted), min_size=1, max_size=4
    ),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=3),
)
def test_captures_are_merged_by_time_then_by_which_begins_first_then_by_number(
    captures: list[list[int]], sizes: list[int]
) -> None:
    segments, datagrams = rows_of(list(Merge(feeds_of(captures, sizes, [0]))))
    expected = sorted(
        (time, times[0], times[0] != times[-1], capture, number)
        for capture, times in enumerate(captures)
        for number, time in enumerate(times, 1)
    )
    assert segments == [(capture, number) for *_, capture, number in expected if number % 2 == 0]
    assert datagrams == [(capture, number) for *_, capture, number in expected if number % 2 and number % 3]


def test_captures_that_do_not_overlap_are_open_one_at_a_time() -> None:
    captures = [[10_000 * hour + time for time in range(100)] for hour in range(30)]
    opened = [0]
    segments, _ = rows_of(list(Merge(feeds_of(captures[::-1], [10], opened))))
    assert segments == [(29 - hour, number) for hour in range(30) for number in range(2, 101, 2)]
    assert max(opened) == 1


def test_of_very_many_that_overlap_some_wait() -> None:
    opened = [0]
    segments, _ = rows_of(list(Merge(feeds_of([[0, 1, 5000, 5001]] * 200, [1], opened))))
    assert len(set(segments)) == 400
    assert max(opened) == 64


def test_what_was_read_is_not_lost_when_the_reading_is_broken_off() -> None:
    def broken() -> Iterator[tuple[Records, Block]]:
        yield from cut([(time, 0) for time in range(50)], [10])
        raise KeyboardInterrupt

    merge = Merge([Feed(0, broken, Disorder())])
    found: list[Block] = []
    with pytest.raises(KeyboardInterrupt):
        found += merge
    found += merge.rest()
    assert rows_of(found)[0] == [(0, number) for number in range(2, 51, 2)]


# --- captures that follow each other ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spans", "still_read", "followed"),
    [
        ([(0, 10), (10, 20), (21, 30)], (), [[0, 1, 2]]),
        ([(0, 10), (5, 15), (10, 20), (15, 25)], (), [[0, 2], [1, 3]]),
        ([(20, 30), (0, 10), (10, 20)], (), [[0, 1, 2]]),
        ([(0, 5), (1, 10), (11, 20)], (), [[1, 2]]),
        ([None, (1, 2), None, (2, 3), None], (), [[1, 3]]),
        ([(5, 5), (5, 5)], (), []),
        ([(0, 5), (6, 9)], (0,), []),
        ([(0, 5), (6, 9)], (1,), [[0, 1]]),
    ],
)
def test_a_capture_follows_the_one_that_ended_last(
    spans: list[tuple[int, int] | None], still_read: tuple[int, ...], followed: list[list[int]]
) -> None:
    captures = [CaptureSummary("", "pcap", first_ns=one and one[0], last_ns=one and one[1]) for one in spans]
    lanes = lanes_of(captures, still_read).tolist()
    with_rows = [number for number, one in enumerate(spans) if one is not None]
    same = [[number for number in with_rows if lanes[number] == lane] for lane in sorted(set(lanes))]
    assert [one for one in same if len(one) > 1] == followed
