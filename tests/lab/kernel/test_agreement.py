"""Both accounts compared: what agrees, what may be missing, and that a false account is found out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from handshake_inspect.connections.connection import ENDS, Connection, End, Pair, StateAt, Step
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect
from handshake_inspect.lab.kernel.account import KernelAccount, KernelChange, SocketFilter
from handshake_inspect.lab.kernel.agreement import Agreement, OwnState, align, compare, own_states
from handshake_inspect.lab.kernel.sock_diag import Kind
from handshake_inspect.lab.kernel.translation import KernelState
from handshake_inspect.lab.world import LabError
from handshake_inspect.tcp.states import StateName
from tests.lab.kernel.accounts import MS, account

PCAPS = Path(__file__).parents[3] / "pcaps"
OPENED = ("CLOSED", "SYN-SENT", "ESTABLISHED")
ACCEPTED: tuple[StateName, ...] = ("LISTEN", "SYN-RECEIVED", "ESTABLISHED")
CLIENT = (*OPENED, "FIN-WAIT-1", "FIN-WAIT-2", "CLOSED")
SERVER = (*ACCEPTED, "CLOSE-WAIT", "LAST-ACK", "CLOSED")


def told_of(one: Connection, states: tuple[str, ...], *, server: bool, at_ns: int) -> list[KernelChange]:
    """A kernel's account of one end of a recorded connection."""
    ends = (one.responder, one.originator) if server else (one.originator, one.responder)
    return [
        KernelChange(at_ns + n, *ends, f"skaddr {'b' if server else 'a'}", "socket", old, new, "tracepoint")
        for n, (old, new) in enumerate(itertools.pairwise(states))
    ]


def recorded(client: tuple[str, ...] = CLIENT, server: tuple[str, ...] = SERVER) -> tuple[Inspection, KernelAccount]:
    """A recorded four-way connection, and what a kernel might have said of it."""
    inspection = inspect(PCAPS / "four-way.pcap")
    (one,) = inspection.connections
    minis = [
        KernelChange(one.last_ns + 2, one.originator, one.responder, "cookie 7", "mini", old, new, "sampled")
        for old, new in ((None, "FIN-WAIT-2"), ("FIN-WAIT-2", "TIME-WAIT"))
    ]
    told = told_of(one, client, server=False, at_ns=one.last_ns - 10) + told_of(
        one, server, server=True, at_ns=one.last_ns - 10
    )
    return inspection, account(*told, *(minis if client[-2:] == ("FIN-WAIT-2", "CLOSED") else []))


def test_a_true_account_agrees() -> None:
    agreement = compare(*recorded())
    assert agreement.complete
    assert (agreement.count("agrees"), agreement.changes) == (10, 10)
    assert [row.note for row in agreement.ends[0].rows][-2:] == ["orphan", "mini"]


@pytest.mark.parametrize(
    ("client", "server"),
    [
        (CLIENT, (*ACCEPTED, "CLOSE-WAIT", "CLOSED")),  # it never was in LAST-ACK
        (CLIENT, (*ACCEPTED, "CLOSE-WAIT")),  # it never closed
        (CLIENT, (*ACCEPTED, "FIN-WAIT-1", "CLOSED")),
        ((*OPENED, "FIN-WAIT-1", "CLOSING", "CLOSED"), SERVER),
        ((*OPENED, "CLOSED"), SERVER),
        (OPENED, SERVER),
        (CLIENT, ()),  # no socket at all, where there was one
    ],
)
def test_a_false_account_contradicts(client: tuple[str, ...], server: tuple[str, ...]) -> None:
    agreement = compare(*recorded(client, server))
    assert agreement.contradicts
    assert not agreement.complete


def test_an_account_with_holes_is_no_account() -> None:
    inspection, told = recorded()
    with pytest.raises(LabError, match=r"^the kernel's account has holes: 3 changes"):
        compare(inspection, replace(told, lost=3))


def sampled(*states: tuple[Kind, str | None]) -> Agreement:
    """What samples of the server's socket say beside a recorded four-way connection."""
    inspection = inspect(PCAPS / "four-way.pcap")
    (one,) = inspection.connections
    told, before = [], None
    for number, (kind, state) in enumerate(states):
        at_ns = one.last_ns - 10 + number
        told.append(KernelChange(at_ns, one.responder, one.originator, "cookie 7", kind, before, state, "sampled"))
        before = state
    return compare(inspection, account(*told, sampled_only=True))


def test_samples_that_miss_most_contradict_nothing() -> None:
    agreement = sampled(("socket", "ESTABLISHED"), ("socket", "LAST-ACK"), ("socket", None))
    assert not agreement.contradicts
    assert not agreement.complete
    assert (agreement.count("agrees"), agreement.changes) == (3, 10)


@pytest.mark.parametrize(
    "states",
    [
        [("socket", "FIN-WAIT-1")],
        [("socket", "LAST-ACK"), ("socket", "ESTABLISHED")],
        [("socket", "CLOSE-WAIT"), ("mini", "TIME-WAIT")],
    ],
)
def test_samples_that_saw_something_else_contradict(states: list[tuple[Kind, str | None]]) -> None:
    assert sampled(*states).contradicts


#: Each state of each end that a look can find, also in passing: between two segments, and within one, with
#: the frame before which it is not there. `close()` and `shutdown()` come just before the FIN that they send.
Glimpse = tuple[int, Kind, str | None]
GLIMPSES: dict[str, tuple[list[Glimpse], list[Glimpse]]] = {
    "three-segment": (
        [
            (1, "socket", "SYN-SENT"),
            (2, "socket", "ESTABLISHED"),
            (8, "socket", "FIN-WAIT-1"),
            (9, "socket", "FIN-WAIT-2"),
            (9, "socket", "CLOSED"),
            (9, "mini", "TIME-WAIT"),
        ],
        [
            (1, "request", "SYN-RECEIVED"),
            (3, "socket", "SYN-RECEIVED"),
            (3, "socket", "ESTABLISHED"),
            (8, "socket", "CLOSE-WAIT"),
            (9, "socket", "LAST-ACK"),
            (10, "socket", "CLOSED"),
            (10, "socket", None),
        ],
    ),
    "simultaneous-close": (
        [
            (1, "socket", "SYN-SENT"),
            (2, "socket", "ESTABLISHED"),
            (8, "socket", "FIN-WAIT-1"),
            (9, "socket", "CLOSING"),
            (11, "socket", "CLOSED"),
            (11, "mini", "TIME-WAIT"),
        ],
        [
            (1, "request", "SYN-RECEIVED"),
            (3, "socket", "SYN-RECEIVED"),
            (3, "socket", "ESTABLISHED"),
            (9, "socket", "FIN-WAIT-1"),
            (9, "socket", "CLOSING"),
            (10, "socket", "CLOSED"),
            (10, "mini", "TIME-WAIT"),
        ],
    ),
}


@cache
def of_recording(name: str) -> Inspection:
    return inspect(PCAPS / f"{name}.pcap")


def glimpsed(name: str, end: End, glimpses: Sequence[Glimpse], *, early_ns: int = 0) -> Agreement:
    """What looks at one end say beside a recorded connection; `early_ns`: so long before the frames that lead there."""
    inspection = of_recording(name)
    (one,) = inspection.connections
    ends = (one.originator, one.responder) if end == "originator" else (one.responder, one.originator)
    told, before = [], None
    for number, (frame, kind, state) in enumerate(glimpses):
        at_ns = inspection.steps(0)[frame - 1].time_ns + number - early_ns
        told.append(KernelChange(at_ns, *ends, "cookie 7", kind, before, state, "sampled"))
        before = state
    return compare(inspection, account(*told, sampled_only=True))


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", GLIMPSES)
def test_samples_may_find_any_states_in_passing_and_miss_any_others(name: str, end: End) -> None:
    glimpses = GLIMPSES[name][ENDS.index(end)]
    for mask in itertools.product([True, False], repeat=len(glimpses)):
        found = list(itertools.compress(glimpses, mask))
        agreement = glimpsed(name, end, found)
        assert not agreement.contradicts, (found, [str(row) for one in agreement.ends for row in one.contradictions])


@pytest.mark.parametrize("missed", range(3))
def test_fin_wait_2_before_the_fin_that_ends_it_is_no_passing_through(missed: int) -> None:
    """The longest look takes 2 ms here, and the FIN that comes too late is the first to acknowledge the other."""
    found = GLIMPSES["three-segment"][0][missed:4]
    assert not glimpsed("three-segment", "originator", found, early_ns=2 * MS).contradicts
    assert glimpsed("three-segment", "originator", found, early_ns=4 * MS).contradicts


def test_nor_is_one_that_lasts_nor_one_of_an_orphan() -> None:
    *opened, passing, _, waiting = GLIMPSES["three-segment"][0]
    orphan: Glimpse = (9, "mini", "FIN-WAIT-2")
    assert glimpsed("three-segment", "originator", [*opened, orphan, waiting]).contradicts
    inspection = of_recording("three-segment")
    (one,) = inspection.connections
    for lasted_ms, is_wrong in ((200, False), (204, True)):
        told = [
            KernelChange(at_ns, one.originator, one.responder, "cookie 7", kind, old, new, "sampled")
            for at_ns, kind, old, new in (
                (one.last_ns, passing[1], None, passing[2]),
                (one.last_ns + lasted_ms * MS, waiting[1], passing[2], waiting[2]),
            )
        ]
        assert compare(inspection, account(*told, sampled_only=True)).contradicts == is_wrong


def test_an_end_of_which_the_capture_tells_nothing_is_not_judged() -> None:
    inspection = inspect(PCAPS / "unanswered.pcap")
    (one,) = inspection.connections
    assert one.states.responder is None
    client = told_of(one, (*OPENED[:2], "CLOSED"), server=False, at_ns=one.first_ns)
    server = told_of(one, ACCEPTED, server=True, at_ns=one.first_ns)
    agreement = compare(inspection, account(*client, *server))
    assert [row.fit for row in agreement.ends[1].rows] == ["not-captured"] * 3
    assert (agreement.contradicts, agreement.changes) == (False, 1)


def test_an_end_in_which_the_kernel_ends_with_an_rst_that_we_missed_contradicts() -> None:
    inspection = inspect(PCAPS / "reset.pcap")
    (one,) = inspection.connections
    told = told_of(one, (*OPENED, "CLOSED"), server=False, at_ns=one.last_ns - 2)
    told += told_of(one, (*ACCEPTED, "CLOSED"), server=True, at_ns=one.last_ns - 2)
    assert compare(inspection, account(*told)).complete
    deaf = replace(one, states=Pair(one.states.originator, ACCEPTED))
    steps = {0: inspection.steps(0)}

    class Deaf:
        connections = (deaf,)

        def steps(self, stream: int) -> tuple[Step, ...]:
            return steps[stream]

    assert compare(Deaf(), account(*told)).contradicts  # type: ignore[arg-type]


def test_an_account_may_be_narrowed_to_a_port() -> None:
    inspection, told = recorded()
    port = inspection.connections[0].responder.port
    assert told.about(SocketFilter(ports={port})) == told
    assert told.about(SocketFilter(ports={port}, addresses={"192.0.2.1"})).changes == ()
    assert told.about(SocketFilter(ports={1})).changes == ()


# --- alignment and our own times ---


def aligned(own: str, kernel: str, *, optional: str = "", assumed: str = "") -> str:
    """Align two orders of one-letter states: "=" both, "<" only ours, ">" only the kernel's, "!" a contradiction."""
    rows = align(
        [OwnState(None, state, None) for state in own],
        [KernelState(None, state, "tracepoint") for state in kernel],
        lambda one: ("not-taken" if one.state in assumed else "contradicts", None),
        lambda one: ("not-captured" if one.state in optional else "contradicts", None),
    )
    signs = {"agrees": "=", "not-taken": "<", "not-captured": ">", "contradicts": "!"}
    return "".join(signs[row.fit] for row in rows)


@pytest.mark.parametrize(
    ("own", "kernel", "optional", "assumed", "expected"),
    [
        ("", "", "", "", ""),
        ("abc", "abc", "", "", "==="),
        ("ac", "abc", "b", "", "=>="),
        ("abc", "abc", "b", "b", "==="),
        ("abc", "ac", "", "b", "=<="),
        ("ab", "ac", "", "", "=!!"),
        ("ba", "ab", "", "", "!=!"),
        ("aba", "ab", "", "", "==!"),
        ("aba", "ba", "", "a", "<=="),
    ],
)
def test_alignment_has_as_few_contradictions_as_possible(
    own: str, kernel: str, optional: str, assumed: str, expected: str
) -> None:
    assert sorted(aligned(own, kernel, optional=optional, assumed=assumed)) == sorted(expected)


def test_our_states_get_the_times_of_the_segments_that_show_them() -> None:
    (one,) = inspect(PCAPS / "three-segment.pcap").connections
    steps = inspect(PCAPS / "three-segment.pcap").steps(0)
    own = own_states(one.states.responder, "responder", steps)
    assert own
    assert [state.state for state in own] == list(SERVER)
    assert own[0].time_ns is None
    # CLOSE-WAIT stands after no segment: the FIN that shows it is the responder's own, which leads to LAST-ACK
    assert own[3].time_ns == own[4].time_ns == steps[-2].time_ns


def test_a_state_that_was_disproved_has_no_time_from_it() -> None:
    (one,) = inspect(PCAPS / "four-way.pcap").connections
    steps = list(inspect(PCAPS / "four-way.pcap").steps(0))
    third = replace(steps[2], states=Pair(steps[2].states.originator, StateAt("ESTABLISHED", "assumed", True)))
    own = own_states(one.states.responder, "responder", [*steps[:2], third, *steps[3:]])
    assert own
    assert own[2].time_ns != third.time_ns
