"""A file brought up to date: what is not met changes, and nothing that somebody wrote around it."""

from __future__ import annotations

import pytest

from handshake_inspect import inspect
from handshake_inspect.expect.matching import checks
from handshake_inspect.expect.recording import document, toml
from handshake_inspect.expect.updating import updated
from handshake_inspect.expect.written import understood
from tests.expect.altered import NAMES, PCAPS, frames_of, inspected, recorded
from tests.expect.test_recording import unmet

#: Behind each capture, the one whose expectations it gets: alike ones lie beside each other, so one from elsewhere.
OTHERS = dict(zip(NAMES, NAMES[83:] + NAMES[:83], strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_another_capture_is_met_once_it_is_brought_up_to_date(name: str) -> None:
    """But for what is not known of an end, for states and findings that not all have, and tables that none answers."""
    inspection, other = recorded(name), recorded(OTHERS[name])
    before = toml(document(other), OTHERS[name])
    after = updated(before, understood(before, "x"), inspection)
    left = [
        failure
        for check in checks(understood(after, "x"), inspection)
        for failure in check.failures
        if failure.unmet.seen not in ("nothing proven of it", "not captured")
        and not (
            failure.unmet.key.startswith(("states", "findings", "no_findings")) and len(inspection.connections) > 1
        )
        and failure.unmet.expected != "at least 1"
    ]
    assert left == []
    assert updated(after, understood(after, "x"), inspection) == after


WRITTEN = """\
# Why this is here.
schema = 1

[[expect]]            # the echo
port = 45243
handshake = "partial" # was so once
teardown = [
    "four-way",       # either
    "three-segment",  # or
]
octets = {client = 5, server = 4}
max_retransmissions = 3
no_findings = "warn"

[expect.states]
responder = "LISTEN > CLOSED"
"""


def test_comments_order_and_what_is_met_stay() -> None:
    after = updated(WRITTEN, understood(WRITTEN, "x"), recorded("four-way.pcap"))
    changes = {
        'handshake = "partial" # was so once': 'handshake = "three-way" # was so once',
        "{client = 5, server = 4}": "{client = 4, server = 4}",
        '"LISTEN > CLOSED"': '"LISTEN > SYN-RECEIVED > ESTABLISHED > CLOSE-WAIT > LAST-ACK > CLOSED"',
    }
    expected = WRITTEN
    for old, new in changes.items():
        expected = expected.replace(old, new)
    assert after == expected


def test_ends_of_lines_stay() -> None:
    text = WRITTEN.replace("\n", "\r\n")
    after = updated(text, understood(text, "x"), recorded("four-way.pcap"))
    assert after.count("\r\n") == after.count("\n") == text.count("\n")


def test_tables_in_one_line_are_brought_up_to_date() -> None:
    text = 'schema = 1\nexpect = [{ stream = 0, handshake = "partial" }]\n'
    assert updated(text, understood(text, "x"), recorded("four-way.pcap")) == text.replace("partial", "three-way")
    both = recorded("time-wait-reopened.pcap")
    after = updated(text, understood(text, "x"), both)
    assert after.count("\n") == 2
    assert len(understood(after, "x").expect) == 2
    assert unmet(after, both) == []


def test_bounds_of_octets_stand_in_the_line_of_their_end() -> None:
    text = "schema = 1\n\n[[expect]]\noctets.client = 9\noctets.server = 9\ncount = 3\n"
    after = updated(text, understood(text, "x"), recorded("accept-queue-overflow.pcap"))
    assert after == text.replace("= 9", "= {min = 0, max = 4}")


def test_a_new_connection_has_a_table_where_each_has_one() -> None:
    first = inspected(frames_of("time-wait-reopened.pcap")[:11])
    one = toml(document(first), "x").replace("[[expect]]\n", "[[expect]]\nstream = 0\n")
    both = recorded("time-wait-reopened.pcap")
    after = updated(one, understood(one, "x"), both)
    assert after.count("[[expect]]") == 2
    assert unmet(after, both) == []
    assert updated(after, understood(after, "x"), first) == one


def test_a_table_that_nothing_answers_is_left_to_somebody_unless_it_counts() -> None:
    """With `count = 0` it would pass for ever."""
    text = 'schema = 1\n\n[[expect]]\nport = 80  # the old server\nhandshake = "refused"\n'
    assert updated(text, understood(text, "x"), recorded("four-way.pcap")) == text
    counted = text + "count = 2\n"
    after = updated(counted, understood(counted, "x"), recorded("four-way.pcap"))
    assert after == text + "count = 0\n"
    assert unmet(after, recorded("four-way.pcap")) == []


def test_the_last_table_of_a_stream_leaves_a_file_that_expects_something() -> None:
    text = "schema = 1\n\n[[expect]]\nstream = 3\n"
    (end,) = {len(recorded("udp.pcap").connections)}
    after = updated(text, understood(text, "x"), recorded("udp.pcap"))
    assert understood(after, "x").expect == ()
    assert unmet(after, recorded("udp.pcap")) == []
    assert f"connections = {end}" in after


def test_findings_that_a_table_forbids_are_named_however_little_they_matter() -> None:
    inspection = recorded("data-after-close.pcap")
    codes = {one.code: one.severity for one in inspection.connections[0].findings}
    assert {*codes.values()} == {"chat"}
    text = 'schema = 1\n\n[[expect]]\nno_findings = "*"\n'
    after = updated(text, understood(text, "x"), inspection)
    assert all(f'"{code}"' in after for code in codes)
    assert unmet(after, inspection) == []


def test_findings_that_the_whole_file_forbids_are_named_in_their_table() -> None:
    inspection = recorded("server-crash.pcap")
    text = 'schema = 1\nno_findings = "warn"\n\n[[expect]]\nteardown = "aborted"\n'
    after = updated(text, understood(text, "x"), inspection)
    assert 'findings = ["connection-unknown"]' in after
    assert unmet(after, inspection) == []


def test_who_was_client_is_originator_where_nobody_is() -> None:
    inspection = recorded("simultaneous-open.pcap")
    text = 'schema = 1\n\n[[expect]]\nclosed_first = "client"\noctets.client = 4\nstates.server = "CLOSED"\n'
    after = updated(text, understood(text, "x"), inspection)
    assert "octets.originator = " in after
    assert 'states.responder = "CLOSED > SYN-SENT > SYN-RECEIVED > ' in after
    assert unmet(after, inspection) == []


def test_what_holds_of_all_connections_of_a_table_is_written() -> None:
    inspection = inspect(PCAPS / "time-wait-reopened.pcap")
    text = (
        'schema = 1\n\n[[expect]]\nteardown = "aborted"\nclosed_first = "client"\noctets.client = 9\n'
        'max_handshake_ms = 0.001\nstates.client = "CLOSED"\nstates.server = "CLOSED"\n'
    )
    after = updated(text, understood(text, "x"), inspection)
    assert 'teardown = ["four-way", "open"]\nclosed_first = ["server", "none"]\noctets.client = 4\n' in after
    assert "max_handshake_ms = 1\n" in after
    assert {one.partition(":")[0] for one in unmet(after, inspection)} == {
        "states of the client",
        "states of the server",
    }
