"""The language of --where: what it means, and that every mistake is told where it is."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.conditions.condition import (
    COMPARISONS,
    And,
    Compare,
    Field,
    Listing,
    Literal,
    Node,
    Not,
    Or,
    evaluate,
)
from handshake_inspect.conditions.known import KNOWN, MEANT, never
from handshake_inspect.conditions.parser import MIRRORED, WhereError, field_path, parse
from handshake_inspect.screen.columns import columns_for
from handshake_inspect.views.contract import connection_object
from handshake_inspect.views.fields import CHOICES, FIELDS, subfields, value_at
from handshake_inspect.views.table import connection_columns
from tests.views.sessions import aborted, four_way

FOUR_WAY = connection_object(four_way()) | {"duration": 0}
ABORTED = connection_object(aborted()) | {"duration": None}

TRUE_OF_FOUR_WAY = [
    'teardown.kind == "four-way"',
    "teardown.kind == 'four-way' and octets.originator > 0",
    'teardown.kind in ["aborted", "four-way"]',
    'not teardown.kind == "aborted"',
    'teardown.kind != "aborted" or octets.originator > 1M',
    '"SYN-RECEIVED" in states.responder',
    '"SYN-RECEIVED" not in states.originator',
    "handshake.complete == true and handshake.rtt_ambiguous == false",
    "handshake.complete and not handshake.rtt_ambiguous",
    "teardown.reset_by == null and teardown.reset_by != 'originator'",
    "handshake.initial_rtt_ns == 20us and handshake.initial_rtt_ns < 0.1ms",
    "teardown.half_closed_ns > 160ms and teardown.half_closed_ns <= 1.5s",
    "handshake.options.originator.mss > 65k",
    '"originator" in time_wait.owner',
    'originator.ip == "127.0.0.1" and responder.port in [80, 8000]',
    "(octets.originator == 4 or octets.originator == 5) and (stream == 0)",
    "octets.originator == octets.responder",
    "not resets and time_wait",
    '"F" in history',
    "octets.originator > -1",
    "1 == 1 and not null",
    '"way" in handshake.kind and "S" in conn_state',
    "octets.originator >= 0 and octets.originator != -1 and responder.port < 70000",
    'originator.ip != "10.0.0.0/8" and "127." in originator.ip',
    "octets.originator > 1.5 and first_ns > -1 and duration >= 0",
]


@pytest.mark.parametrize("text", TRUE_OF_FOUR_WAY)
def test_is_true_of_the_ordinary_connection(text: str) -> None:
    assert parse(text).holds(FOUR_WAY)
    assert not parse(f"not ({text})").holds(FOUR_WAY)


def test_null_is_neither_less_nor_greater() -> None:
    for sign in ("<", "<=", ">", ">="):
        assert not parse(f"sent_octets.originator {sign} 4").holds(ABORTED)
    assert parse("sent_octets.originator == null").holds(ABORTED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('teardown.knd == "aborted"', "there is no field teardown.knd. Did you mean teardown.kind"),
        ("x == 1", "there is no field x."),
        ("foo.bar == 1", "there is no field foo.bar: »foo.bar« == 1"),
        ('teardown == "aborted"', "teardown is an object; its fields are teardown.kind"),
        ('teardown.kind == "four way"', "teardown.kind is never four way; it is four-way, three-segment"),
        ("octets.originator == 'many'", "octets.originator is a number, not a text"),
        ("teardown.kind > 3", "teardown.kind is a text, not a number"),
        ("teardown.kind in ['four']", "teardown.kind is never four"),
        ("states.responder == 'CLOSED'", 'states.responder is a list: write "CLOSED" in states.responder: »states'),
        (
            'time_wait.outcome=="killed" and stream',
            'write "killed" in time_wait.outcome: »time_wait.outcome=="killed"« and',
        ),
        ('"FIN" != time_wait.outcome', 'write "FIN" not in time_wait.outcome: »"FIN" != time_wait.outcome«'),
        (
            "findings.frames in [1, 2]",
            "write 1 in findings.frames or 2 in findings.frames: »findings.frames in [1, 2]«",
        ),
        (
            "findings.frames not in [1.5, null, true]",
            "write 1.5 not in findings.frames and true not in findings.frames:",
        ),
        (
            '"half-open" in findings and stream',
            "findings is a list of objects; what they hold is in findings.code, findings.severity, findings.frames or "
            'findings.message: "half-open" in »findings« and stream',
        ),
        ("1 not in resets", "resets is a list of objects; what they hold is in resets.frame, "),
        ("findings == 'half-open'", "findings.message: »findings == 'half-open'«"),
        ("'FIN' in time_wait.restarts", "what they hold is in time_wait.restarts.frame, time_wait.restarts.time_ns"),
        ('"half-opn" in findings.code', "findings.code never has half-opn; "),
        ('"loud" in findings.severity', "findings.severity never has loud; it is chat, note, warn or error"),
        ("octets.originator > 4kb", "kb is no unit"),
        ("1 < stream < 5", "compare two values at a time"),
        ("stream ==", "expected a field, a number or a string at the end"),
        ("(stream == 1", 'expected ")"'),
        ("stream == 1)", "cannot go on here"),
        ("stream = 1", "cannot be read, == compares: stream »=« 1"),
        ("resets & stream", "cannot be read, write and: resets »&« stream"),
        ("stream # 1", "cannot be read: stream »#« 1"),
        (
            "teardown.kind == four-way",
            'text stands in quotes; write teardown.kind == "four-way": teardown.kind == »four',
        ),
        (
            "teardown.kind == aborted and stream",
            'write teardown.kind == "aborted" and stream: teardown.kind == »aborted«',
        ),
        ("teardown.kind in [four-way]", 'text stands in quotes; write teardown.kind in ["four-way"]: '),
        ("teardown.kind == four-wy", "teardown.kind is never four-wy; it is four-way, "),
        ("half-open in findings.code", 'text stands in quotes; write "half-open" in findings.code: »half-open« in'),
        ("originator.ip == 10.0.0.1", 'text stands in quotes; write originator.ip == "10.0.0.1": '),
        ("originator.ip == 2001:db8::1", 'text stands in quotes; write originator.ip == "2001:db8::1": '),
        ("capture == some/file.pcap", 'text stands in quotes; write capture == "some/file.pcap": '),
        ("teardown.kind == teardown.knd", "there is no field teardown.knd. Did you mean teardown.kind"),
        (
            "port == 443",
            "no field port; that is originator.port or responder.port; --port is for either end: »port« ==",
        ),
        ('host == "::1"', "no field host; that is originator.ip or responder.ip; --net is for either end: "),
        ("RTT > 1s", "there is no field RTT; that is handshake.initial_rtt_ns: »RTT« > 1s"),
        ("lasted > 1s", "there is no field lasted; that is duration: »lasted« > 1s"),
        ('closed == "aborted"', "there is no field closed; that is teardown.kind: "),
        ("octets > 4", "octets is an object; its fields are octets.originator or octets.responder: "),
        ('conn_state == "SFX"', "conn_state is never SFX; it is S0, S1, SF, REJ, "),
        ('"X" in conn_state', "conn_state never has X; "),
        ('"TIME_WAIT" in states.originator', "states.originator never has TIME_WAIT; it is CLOSED, "),
        ('"over" in time_wait.outcome', "time_wait.outcome never has over; it is not-captured, "),
        (
            'originator.ip == "127.0.0.0/8"',
            'originator.ip is an address, not a network: use --net 127.0.0.0/8: originator.ip == »"127.0.0.0/8"«',
        ),
        ('responder.ip in ["localhost"]', "responder.ip is an address of IPv4 or IPv6, and localhost is none: "),
        ('"2001:DB8::1" == responder.ip', 'responder.ip is written 2001:db8::1: »"2001:DB8::1" == responder.ip«'),
        ("originator.port == 70000", "originator.port is from 0 to 65535: originator.port == »70000«"),
        ("responder.port in [80, 70000]", "responder.port is from 0 to 65535: "),
        ("octets.originator < 0", "octets.originator is 0 or more: octets.originator < »0«"),
        ("0 > octets.originator and stream", "octets.originator is 0 or more: »0 > octets.originator« and stream"),
        ("octets.originator <= -1", "octets.originator is 0 or more: "),
        ("responder.port > 65535", "responder.port is from 0 to 65535: "),
        ("completeness >= 64", "completeness is from 0 to 63: "),
        ("stream == 1.5", "stream is a whole number: "),
        ("__import__('os')", "there is no field __import__"),
        ("stream not 4", 'expected "in" after "not"'),
        ("", "expected a field"),
        ("(" * 5000, "nested more than"),
        ("not " * 5000 + "stream", "nested more than"),
        ('"a" in stream', "a list or a text on its right"),
    ],
)
def test_mistake_is_told_in_one_line_with_its_place(text: str, message: str) -> None:
    with pytest.raises(WhereError) as error:
        parse(text)
    assert message in str(error.value)
    assert "»" in str(error.value)
    assert "\n" not in str(error.value)


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(WhereError):
        parse(text).holds(FOUR_WAY)


TOKENS = st.sampled_from(
    ["and", "or", "not", "in", "(", ")", "[", "]", ",", "==", "<", ">=", "null", "true", "1", "2ms", "'a'", *FIELDS]
)


@given(st.lists(TOKENS, max_size=14))
def test_any_sequence_of_words_is_parsed_or_refused(words: list[str]) -> None:
    try:
        condition = parse(" ".join(words))
    except WhereError:
        return
    for found in (FOUR_WAY, ABORTED):
        assert condition.holds(found) in (True, False)


@pytest.mark.parametrize("meant", MEANT.values())
def test_names_that_are_no_fields_lead_to_fields(meant: Sequence[str]) -> None:
    assert {*meant} <= {*KNOWN}


def test_names_that_have_a_meaning_are_no_fields() -> None:
    assert not {*MEANT} & {*KNOWN}


def test_every_heading_of_our_tables_leads_to_a_field() -> None:
    titles = [one.title for one in connection_columns(2)]
    for is_live in (True, False):
        titles += [one.title for one in columns_for(is_live=is_live, captures=2)]
    for title in titles:
        try:
            field_path(title)
        except WhereError as error:
            assert re.search("that is|its fields are", str(error))


NUMBER_FIELDS = sorted(name for name, kind in FIELDS.items() if kind == "number")
TEXT_FIELDS = sorted(name for name, kind in FIELDS.items() if kind == "text" and name not in CHOICES)
LIST_FIELDS = sorted(
    name for name, kind in FIELDS.items() if kind == "list" and name not in CHOICES and not subfields(name)
)


def field(names: list[str]) -> st.SearchStrategy[Node]:
    return st.sampled_from(names).map(lambda name: Field(tuple(name.split("."))))


def may_be_true(one: Compare) -> bool:
    """Is it none of the comparisons that are refused because they never hold?"""
    pairs = ((one.sign, one.left, one.right), (MIRRORED.get(one.sign, one.sign), one.right, one.left))
    return not any(
        never(".".join(left.path), sign, right.value)
        for sign, left, right in pairs
        if isinstance(left, Field) and isinstance(right, Literal)
    )


numbers: st.SearchStrategy[Node] = st.integers(-10, 10**10).map(Literal) | field(NUMBER_FIELDS)
texts: st.SearchStrategy[Node] = st.text("ab'\"\\ SF.-", max_size=5).map(Literal) | field(TEXT_FIELDS)
literals: st.SearchStrategy[Node] = st.sampled_from(["SYN-SENT", "originator", "x", 1]).map(Literal)
listings: st.SearchStrategy[Node] = st.lists(literals, max_size=3).map(lambda items: Listing(tuple(items)))
signs = st.sampled_from(COMPARISONS)
membership = st.sampled_from(["in", "not in"])
comparisons: st.SearchStrategy[Node] = (
    st.builds(Compare, signs, numbers, numbers).filter(may_be_true)
    | st.builds(Compare, signs, texts, texts).filter(may_be_true)
    | st.builds(Compare, membership, literals, listings | field(LIST_FIELDS))
)
nodes: st.SearchStrategy[Node] = st.recursive(
    comparisons | st.sampled_from([True, False, None]).map(Literal),
    lambda inner: st.builds(Not, inner) | st.builds(And, inner, inner) | st.builds(Or, inner, inner),
    max_leaves=8,
)


def spelled(node: Node) -> str:
    match node:
        case Literal(value):
            if isinstance(value, str):
                return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
            return {True: "true", False: "false", None: "null"}[value] if not is_int(value) else str(value)
        case Field(path):
            return ".".join(path)
        case Listing(items):
            return "[" + ", ".join(spelled(item) for item in items) + "]"
        case Compare(sign, left, right):
            return f"{spelled(left)} {sign} {spelled(right)}"
        case Not(inner):
            return f"not ({spelled(inner)})"
        case And(left, right):
            return f"({spelled(left)}) and ({spelled(right)})"
        case Or(left, right):
            return f"({spelled(left)}) or ({spelled(right)})"


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def reference(node: Node, found: dict[str, Any]) -> Any:
    """The same in Python's own words: `eval` of an expression made of Python values."""
    return eval(in_python(node, found), {})


def in_python(node: Node, found: dict[str, Any]) -> str:
    match node:
        case Literal(value):
            return repr(value)
        case Field(path):
            return repr(value_at(found, path))
        case Listing(items):
            return "[" + ", ".join(in_python(item, found) for item in items) + "]"
        case Compare(sign, left, right):
            one, other = in_python(left, found), in_python(right, found)
            if sign.startswith(("<", ">")) and "None" in (one, other):
                return "False"
            return f"({one} {sign} {other})"
        case Not(inner):
            return f"(not {in_python(inner, found)})"
        case And(left, right):
            return f"bool({in_python(left, found)} and {in_python(right, found)})"
        case Or(left, right):
            return f"bool({in_python(left, found)} or {in_python(right, found)})"


@given(nodes)
def test_means_what_python_means(node: Node) -> None:
    parsed = parse(spelled(node)).node
    for found in (FOUR_WAY, ABORTED):
        assert bool(evaluate(parsed, found)) == bool(reference(node, found)), spelled(node)
