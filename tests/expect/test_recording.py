"""What is recorded of a capture is met by it, is TOML, and is as it should be when it is brought up to date."""

from __future__ import annotations

import io
import tomllib
from pathlib import Path

import pytest

from handshake_inspect import Inspection, inspect
from handshake_inspect.expect.matching import checks
from handshake_inspect.expect.places import Lines
from handshake_inspect.expect.recording import TABLES_MAX, document, in_common, toml
from handshake_inspect.expect.understanding import expectations
from handshake_inspect.expect.updating import updated
from handshake_inspect.expect.written import understood
from tests.expect.altered import NAMES, PCAPS, recorded


def unmet(text: str, inspection: Inspection) -> list[str]:
    """Return the messages of what is not met."""
    return [str(one) for check in checks(understood(text, "x"), inspection) for one in check.failures]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_recorded_of_a_capture_is_met_and_stays_as_it_is(name: str) -> None:
    inspection = recorded(name)
    found = document(inspection)
    text = toml(found, name)
    assert tomllib.loads(text) == found
    assert unmet(text, inspection) == []
    assert updated(text, understood(text, "x"), inspection) == text


def test_every_expectation_has_its_line() -> None:
    """All of a document is written in lines of its own, so that a message can name it."""
    text = toml(document(recorded("time-wait-reopened.pcap")), "x.pcap")
    lines = text.splitlines()
    clauses = [clause for table in understood(text, "x").expect for clause in table.clauses]
    assert len(clauses) == 2 * 10
    for clause in clauses:
        assert clause.place.line is not None
        assert lines[clause.place.line - 1].startswith(clause.key)
    assert len({clause.place.line for clause in clauses}) == len(clauses)


def test_of_many_connections_the_kinds_are_counted_with_what_all_of_one_have_in_common() -> None:
    found = document(recorded("port-scan.pcap"))
    assert found["connections"] == 30 > TABLES_MAX
    refused, aborted = found["expect"]
    assert (refused["where"], refused["count"]) == ('handshake.kind == "refused" and teardown.kind == "none"', 29)
    assert (aborted["where"], aborted["count"]) == ('handshake.kind == "three-way" and teardown.kind == "aborted"', 1)
    assert refused["findings"] == ["refused"]
    assert aborted["states"]["client"] == "CLOSED > SYN-SENT > ESTABLISHED > CLOSED"


def test_in_common_are_bounds_several_words_and_what_is_equal() -> None:
    one = {
        "closed_first": "client", "max_retransmissions": 0, "findings": ["refused", "reset-linger"],
        "time_wait": "client", "octets": {"client": 4, "server": 1},
        "states": {"client": "CLOSED > SYN-SENT", "server": "LISTEN"},
    }  # fmt: skip
    other = {
        "closed_first": "server", "max_retransmissions": 2, "findings": ["reset-linger"],
        "octets": {"client": 9, "server": 1}, "states": {"client": "CLOSED > SYN-SENT", "server": "CLOSED"},
    }  # fmt: skip
    assert in_common(one, other) == {
        "closed_first": ["client", "server"], "max_retransmissions": 2, "findings": ["reset-linger"],
        "octets": {"client": {"min": 4, "max": 9}, "server": {"min": 1, "max": 1}},
        "states": {"client": "CLOSED > SYN-SENT"},
    }  # fmt: skip
    assert in_common(in_common(one, other), one)["octets"]["client"] == {"min": 4, "max": 9}
    some, more = {"no_findings": ["warn"], "findings": ["refused"]}, {"no_findings": ["warn"]}
    assert in_common(some, more) == more
    assert in_common(some, {**more, "findings": ["half-open"]}) == {}  # a warning, and not of both
    assert in_common(one, {**other, "findings": ["half-open"]}).keys() == one.keys() - {"findings", "time_wait"}


def test_a_capture_without_tcp_expects_none() -> None:
    assert document(recorded("udp.pcap")) == {"schema": 1, "connections": 0, "exchanges": 1}


def test_a_name_is_a_comment_whatever_is_in_it() -> None:
    text = toml(document(recorded("four-way.pcap")), "a\nconnections = 7 \x1b\udcff.pcap")
    assert text.startswith("# What is expected of a\\nconnections = 7 \\x1b\\xff.pcap.\nschema = 1\n")
    assert unmet(text, recorded("four-way.pcap")) == []


def test_what_is_not_known_is_not_written() -> None:
    """Of who never answered no state is proven."""
    (table,) = document(recorded("unanswered.pcap"))["expect"]
    assert table["states"] == {"client": "CLOSED > SYN-SENT"}
    assert "max_handshake_ms" not in table


def test_a_folded_capture_is_recorded_as_a_plain_one() -> None:
    name = PCAPS / "large-transfer.pcap"
    assert document(inspect(name)) == document(inspect(name, fold=False))


def test_it_expects_the_same_of_a_capture_that_came_through_a_pipe(tmp_path: Path) -> None:
    octets = io.BytesIO((PCAPS / "reset.pcap").read_bytes())
    expected = expectations(document(recorded("reset.pcap")), Lines("x"))
    assert all(not check.failures for check in checks(expected, inspect(octets)))
