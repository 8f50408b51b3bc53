"""The rules as a whole: their pages, their cases, the table of what they find, and silence where all is well."""

from __future__ import annotations

import gc
import re
import weakref
from importlib import import_module
from pathlib import Path

import pytest

from handshake_inspect import inspect
from handshake_inspect.connections.deciding.found import Severity
from handshake_inspect.connections.folding import pool
from handshake_inspect.findings.catalogue import BY_CODE, OVER_RUN, RULES
from handshake_inspect.findings.rule import PARTS, ConnectionRule, Rule
from tests.findings.captures import OURS, PUBLIC, codes_in, inspected, path_of
from tests.findings.golden import TABLE, lines

#: Ordinary sessions: nothing above chat is to be said of them.
HEALTHY = (
    "four-way.pcap", "three-segment.pcap", "half-close.pcap", "ipv6.pcap", "large-transfer.pcap", "server-first.pcap",
)  # fmt: skip
#: The captures of the table.
NAMES = [line.split("\t")[1] for line in TABLE.read_text().splitlines()[1:]]
OVER_WHOLE_RUN = {code.word for code in OVER_RUN}
CASES = {
    code: case
    for path in sorted(Path(__file__).parent.glob("test_*.py"))
    for code, case in getattr(import_module(f"tests.findings.{path.stem}"), "CASES", {}).items()
    if path.stem != "test_catalogue"
}


def test_codes_are_words_and_each_stands_once() -> None:
    assert len(BY_CODE) == len(RULES)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) for code in BY_CODE)


def test_what_a_finding_explains_is_another_finding() -> None:
    assert all(word in BY_CODE and word != rule.code.word for rule in RULES for word in rule.code.explains)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code.word)
def test_a_rule_has_a_page(rule: Rule) -> None:
    first, *paragraphs = rule.page.split("\n\n")
    assert first.endswith(".")
    assert [next((part for part in PARTS if text.startswith(part)), text) for text in paragraphs] == list(PARTS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code.word)
def test_a_rule_has_captures_where_it_must_and_must_not_appear(rule: Rule) -> None:
    must, must_not = CASES[rule.code.word]
    assert must and must_not
    assert rule.example is None or rule.example in must
    assert rule.example is not None or not any((OURS / one).exists() for name in must for one in name.split("+"))


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_above_chat_is_said_of_a_healthy_session(name: str) -> None:
    inspection = inspected(name)
    found = [(one.severity, one.code) for connection in inspection.connections for one in connection.findings]
    found += [(one.severity, one.code) for one in inspection.findings]
    assert [code for severity, code in found if severity != Severity.CHAT.word] == []


@pytest.mark.parametrize("code", CASES)
def test_a_case_has_a_rule(code: str) -> None:
    assert code in BY_CODE


@pytest.mark.parametrize(("code", "name"), [(code, name) for code, (must, _) in CASES.items() for name in must])
def test_a_finding_appears_where_it_must(code: str, name: str) -> None:
    assert codes_in(name)[code]


@pytest.mark.parametrize(("code", "name"), [(code, name) for code, (_, must_not) in CASES.items() for name in must_not])
def test_a_finding_does_not_appear_where_it_must_not(code: str, name: str) -> None:
    assert not codes_in(name)[code]


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_that_is_not_asked_would_find_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each conversation for itself, by those rules alone whose control bits do not occur in it."""
    concerns = ConnectionRule.concerns
    monkeypatch.setattr(pool, "PARTITION_ROWS", 1)
    monkeypatch.setattr(ConnectionRule, "concerns", lambda rule, evidence: not concerns(rule, evidence))
    inspection = inspect(path_of(name))
    assert {one.code for connection in inspection.connections for one in connection.findings} <= OVER_WHOLE_RUN


@pytest.mark.parametrize("line", TABLE.read_text().splitlines()[1:], ids=lambda line: line.split("\t")[1])
def test_a_capture_has_the_findings_of_its_golden_line(line: str) -> None:
    where, name, _, _ = line.split("\t")
    if where == "public" and PUBLIC is None:
        pytest.skip("set HANDSHAKE_CAPTURES")
    assert lines([name]) == [line]


def test_what_was_looked_over_is_let_go_at_once() -> None:
    """Of a stream that goes on each part is looked over: a circle would keep it until the garbage collector comes."""
    found = inspect(path_of("syn-flood.pcap"))
    assert found.connections.findings
    connections = weakref.ref(found.connections)
    gc.disable()
    try:
        del found
        assert connections() is None
    finally:
        gc.enable()
