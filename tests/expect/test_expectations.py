"""What cannot be used as expectations: one line with file and line, what is wrong and what to write instead; exit 2."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from handshake_inspect.cli import cli
from handshake_inspect.expect.keys import CLAIMS
from handshake_inspect.expect.matching import checks
from handshake_inspect.expect.places import ExpectationError, Lines
from handshake_inspect.expect.understanding import DOCUMENT_KEYS, EXPECT_KEYS, expect, expectations
from handshake_inspect.findings.catalogue import ABOUT_RUN, BY_CODE
from handshake_inspect.views.words import HANDSHAKE_KINDS, TEARDOWN_KINDS
from tests.expect.altered import PCAPS, recorded

#: What stands in a table [[expect]] in line 3, the line that is to be named, and what is said of it.
WRONG_IN_A_TABLE = [
    ("closed_frist = 'client'", 4, "there is no key 'closed_frist'. Did you mean closed_first?"),
    ("teardwon = 'aborted'", 4, "there is no key 'teardwon'. Did you mean teardown?"),
    ("port = 1\nHandshake = 'three-way'", 5, "there is no key 'Handshake'. Did you mean handshake"),
    ("zzz = 1", 4, "Keys are port, host, stream, where, count, handshake,"),
    ("schema = 1", 4, "there is no key 'schema' here: it is of the capture as a whole, and stands above"),
    ("connections = 1", 4, "there is no key 'connections' here: it counts all of the capture, and stands above"),
    ("port = 1\ngolden = 'a'", 5, "there is no key 'golden' here: it is of the capture as a whole, and stands above"),
    ("'with space' = 1", 3, "there is no key 'with space'."),
    ("port = -1", 4, "port: expected is a number from 0 to 65535"),
    ("port = 65536", 4, "port: expected is a number from 0 to 65535"),
    ("port = true", 4, "port: expected is a number from 0 to 65535"),
    ("port = 80.0", 4, "port: expected is a number from 0 to 65535"),
    ("port = '80'", 4, "port: expected is a number from 0 to 65535"),
    ("host = 80", 4, 'host: expected is text: "..."'),
    ("host = 'localhost'", 4, "host: 'localhost' is no IP address and no network"),
    ("stream = -1", 4, "stream: '-1' is no number of a stream"),
    ("stream = true", 4, "stream: 'True' is no number of a stream"),
    ("stream = 1.5", 4, "stream: '1.5' is no number of a stream"),
    ("stream = []", 4, "stream: '' is no number of a stream"),
    ("stream = '3-1'", 4, "stream: '3-1' is a range that ends before it begins"),
    ("where = 'teardown.knd == 1'", 4, "Did you mean teardown.kind"),
    ("where = 3", 4, 'where: expected is text: "..."'),
    ("where = ''", 4, "where: "),
    ("count = -1", 4, "count: expected is a whole number from 0 on, or { min = 1, max = 3 }"),
    ("count = true", 4, "count: expected is a whole number"),
    ("count = 1.0", 4, "count: expected is a whole number"),
    ("count = 9223372036854775808", 4, "count: expected is a whole number"),
    ("count = {}", 4, "count: expected is a whole number"),
    ("count = { min = 2, max = 1 }", 4, "count: no number is from min = 2 to max = 1"),
    ("count = { least = 2 }", 4, "count: 'least' is no bound: expected is a whole number from 0 on, or { min = 1, max"),
    ("count.min = true", 4, "count: min: expected is a whole number from 0 on"),
    ("count = { min = 1, max = -3 }", 4, "count: max: expected is a whole number from 0 on"),
    ("port = 80\ncount = { min = 0 }", 5, "count: there are always at least 0: this expects nothing; say more"),
    ("handshake = 'three-ways'", 4, "handshake: 'three-ways' is none of three-way, simultaneous-open"),
    ("handshake = 'three-ways'", 4, "Did you mean three-way?"),
    ("handshake = 'four-way'", 4, "handshake: 'four-way' is none of"),
    ("handshake = []", 4, 'handshake: expected is a word, or several: ["...", "..."]'),
    ("handshake = ['three-way', 3]", 4, "handshake: expected is a word, or several"),
    ("handshake = 3", 4, "handshake: expected is a word, or several"),
    ("teardown = { kind = 'aborted' }", 4, "teardown: expected is a word, or several"),
    ("closed_first = 'clinet'", 4, "Did you mean client?"),
    ("time_wait = 'nobody'", 4, "time_wait: 'nobody' is none of client, server, originator, responder, both and none."),
    ("states = 'CLOSED'", 4, "states: expected is a value for an end, or for each"),
    ("states = {}", 4, "states: expected is a value for an end, or for each"),
    ("states.clinet = 'CLOSED'", 4, "states.clinet: that is no end: client or server (originator or responder)"),
    ("states.client = 'CLOSED'\nstates.server = 'LISTNE'", 5, "states.server: 'LISTNE' is no state. Did you mean"),
    ("states.client = 'CLOSED'\nstates.server = ''", 5, "states.server: expected are states"),
    ("states.client = []", 4, "states.client: expected is a word, or several"),
    ("states.client = 'CLOSED'\nstates.originator = 'CLOSED'", 4, "states: client and originator: one end is named"),
    ("[expect.states]\nclient = 'CLOSED'\nserver = 'SHUT'", 6, "states.server: 'SHUT' is no state."),
    ("[expect.'octets']\n'server' = -4", 5, "octets.server: expected is a whole number"),
    ("octets = { client = 4, server = 4.5 }", 4, "octets.server: expected is a whole number"),
    ("octets.client.min = 3\noctets.client.max = 2", 4, "octets.client: no number is from min = 3 to max = 2"),
    ("max_handshake_ms = 0", 4, "max_handshake_ms: expected is a number of milliseconds above 0"),
    ("max_handshake_ms = -1", 4, "max_handshake_ms: expected is a number of milliseconds above 0"),
    ("max_handshake_ms = nan", 4, "max_handshake_ms: expected is a number of milliseconds above 0"),
    ("max_handshake_ms = inf", 4, "max_handshake_ms: expected is a number of milliseconds above 0"),
    ("max_handshake_ms = true", 4, "max_handshake_ms: expected is a number of milliseconds above 0"),
    ("max_handshake_ms = '5'", 4, "max_handshake_ms: expected is a number of milliseconds above 0"),
    ("max_handshake_ms = 1" + "0" * 400, 4, "max_handshake_ms: expected is a number of milliseconds above 0"),
    ("max_retransmissions = 0.0", 4, "max_retransmissions: expected is a whole number"),
    ("max_retransmissions = -1", 4, "max_retransmissions: expected is a whole number from 0 on"),
    ("findings = 'reset-lingr'", 4, "findings: there is no finding 'reset-lingr'. Did you mean reset-linger,"),
    ("findings = 'port-scan'", 4, "findings: port-scan: found of the run as a whole, never of a connection; in a file"),
    ("port = 1\nno_findings = '*-scan'", 5, "no_findings: host-scan and port-scan: found of the run as a whole, never"),
    ("no_findings = ['refused', 'port-scan']", 4, "no_findings: port-scan: found of the run as a whole, never of"),
    ("findings = 'reset-*'", 4, "findings: there is no finding 'reset-*'."),
    ("no_findings = 'wran'", 4, "no_findings: there is no finding 'wran', nor severity. Did you mean warn?"),
    ("no_findings = 'zz-*'", 4, "no_findings: there is no finding 'zz-*', nor severity."),
    ("no_findings = []", 4, "no_findings: expected is a word, or several"),
    ("findings = 'refused'\nno_findings = 'refused'", 5, "no_findings: refused must be found, says `findings`"),
    ("# [[expect]]\n\nhandshake = 'x'", 6, "handshake: 'x' is none of"),
    ("where = '''stream == 0\nport = 1'''\nport = 'x'", 6, "port: expected is a number"),
    ("handshake = [\n  'three-way',\n]\nteardown = 'x'", 7, "teardown: 'x' is none of"),
    ("[[expect]]\nport = 1\n[[ expect ]] # the third\nport = 'x'", 7, "port: expected is a number"),
    ("[['expect']]\nport = 'x'", 5, "port: expected is a number"),
]  # fmt: skip

#: Whole files, the line that is to be named, and what is said of it.
WRONG = [
    ("", 1, "it has no schema: this version understands `schema = 1`, in the first line"),
    ("connections = 1", 1, "it has no schema"),
    ("schema = 2\nconnections = 1", 1, "this is another schema: this version understands `schema = 1`"),
    ("# a comment\nschema = '1'", 2, "this is another schema"),
    ("schema = true", 1, "this is another schema"),
    ("schema = 1.0", 1, "this is another schema"),
    ("schema = 0x1" + "0" * 9000, 1, "this is another schema"),
    ("schema = 1", 1, "it expects nothing: write `connections = N` or an [[expect]] table"),
    ("schema = 1\nexpect = []", 1, "it expects nothing"),
    ("schema = 1\nexpect = 3", 2, "expect is no list of tables: write [[expect]]"),
    ("schema = 1\n[expect]\nport = 1", 2, "expect is no list of tables: write [[expect]]"),
    ("schema = 1\nexpect = [1]", 2, "expect is no list of tables: write [[expect]]"),
    ("schema = 1\nexpect = [{ port = 1 }, { prt = 1 }]", 2, "there is no key 'prt'. Did you mean port?"),
    ("schema = 1\nport = 80", 2, "there is no key 'port' here: it stands in an [[expect]] table"),
    ("schema = 1\nconections = 1", 2, "there is no key 'conections'. Did you mean connections?"),
    ("schema = 1\n\n[expcet]\nport = 1", 3, "there is no key 'expcet'. Did you mean expect?"),
    ("schema = 1\n\n[[expects]]\nport = 1", 3, "there is no key 'expects'. Did you mean expect?"),
    ("schema = 1\n[[expect]]\nport = 'x'\n[[expects]]\nport = 1", 4, "there is no key 'expects'. Did you mean expect?"),
    ("schema = 1\n[connections]\nmin = -1", 2, "connections: min: expected is a whole number from 0 on"),
    ("schema = 1\nexchanges = '3'", 2, "exchanges: expected is a whole number"),
    ("schema = 1\nconnections = { min = 0 }", 2, "connections: there are always at least 0: this expects nothing"),
    ("schema = 1\ngolden = ''", 2, 'golden: expected is the name of a file: "echo.golden"'),
    ("schema = 1\nno_findings = 3", 2, "no_findings: expected is a word, or several"),
    ("schema = 1\n[[expect]\n", 2, "it is no TOML: "),
    ("schema = 1\nhandshake = three-way\n", 2, "it is no TOML: Invalid value"),
    ("schema = 1\nschema = 1\n", 2, "it is no TOML: Cannot overwrite a value"),
    ("schema = 1\nconnections = [1,\n", 2, "it is no TOML: "),
    ("schema = 1\nconnections = " + "1" * 5000, None, "a number in it has thousands of digits"),
    ("schema = 1\nconnections = " + "[" * 5000, None, "it is no TOML: "),
    ("schema = 1\r\n\r\n[[expect]]\r\nport = 'x'\r\n", 4, "port: expected is a number"),
    ("\ufeffschema = 1\n[[expect]]\nport = 'x'\n", 3, "port: expected is a number"),
    ("schema = 1\n# a line\u2028that is none, nor\u0085this\n[[expect]]\nport = 'x'\n", 4, "port: expected is a"),
]  # fmt: skip


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a capture in a folder whose name is no ASCII."""
    folder = tmp_path_factory.mktemp("prüfung")
    return Path(shutil.copy(PCAPS / "four-way.pcap", folder / "écho.pcap"))


def checked(capture: Path, text: str | bytes) -> tuple[int, str, str]:
    """Run `check` with these expectations. Returns its exit code, output and errors."""
    path = capture.with_name("écho.expect.toml")
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    done = CliRunner().invoke(cli, ["check", str(capture)], catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr.replace(f"{path}:", "écho.expect.toml:")


@pytest.mark.parametrize(("table", "line", "says"), WRONG_IN_A_TABLE)
def test_a_table_that_cannot_be_used(capture: Path, table: str, line: int, says: str) -> None:
    is_refused(checked(capture, f"schema = 1\n\n[[expect]]\n{table}\n"), line, says)


@pytest.mark.parametrize(("text", "line", "says"), WRONG)
def test_a_file_that_cannot_be_used(capture: Path, text: str, line: int | None, says: str) -> None:
    is_refused(checked(capture, text), line, says)


def is_refused(done: tuple[int, str, str], line: int | None, says: str) -> None:
    code, out, errors = done
    assert (code, out) == (2, "")
    assert errors.count("\n") == 1
    assert errors.startswith(f"Error: écho.expect.toml:{'' if line is None else f'{line}:'} ")
    assert says in errors


def test_octets_that_are_no_text(capture: Path) -> None:
    done = checked(capture, b"schema = 1\nconnections = 1 # \xff")
    is_refused(done, None, "octet 29 is no UTF-8: it is no TOML file")


#: What is met by four-way.pcap, and the same with a wrong value: key, line in the table, what is written there instead.
MET = """schema = 1
connections = 1

[[expect]]
port = 45243
host = "127.0.0.1"
stream = 0
where = 'octets.originator == 4'
count = 1
handshake = ["fast-open", "three-way"]
teardown = "four-way"
closed_first = "originator"
time_wait = "client"
max_handshake_ms = 0.5
max_retransmissions = 0
no_findings = "*"
octets.client = 4
octets.responder = { min = 1, max = 4 }
states.originator = ["CLOSED", "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"]
states.server = "LISTEN SYN-RECEIVED > ESTABLISHED > CLOSE-WAIT > LAST-ACK > CLOSED"
"""
WRONG_VALUES = [
    (2, "connections = 2", "connections: expected 2, seen 1"),
    (2, "connections = { min = 2 }", "connections: expected at least 2, seen 1"),
    (2, "exchanges = 1", "exchanges: expected 1, seen 0"),
    (5, "port = 80", 'with port = 80, host = "127.0.0.1", stream = 0, where = "octets.originator == 4": expected 1'),
    (6, 'host = "10.0.0.0/8"', "expected 1, seen 0"),
    (7, "stream = [0, 1]", "stream = [0, 1]"),
    (8, "where = 'octets.originator == 5'", "expected 1, seen 0"),
    (9, "count = { max = 0 }", "expected 0, seen 1"),
    (10, 'handshake = ["partial", "invalid"]', "handshake: expected partial or invalid, seen three-way (frame 3, ACK"),
    (11, 'teardown = "aborted"', "teardown: expected aborted, seen four-way (frame 10, FIN,ACK of the server)"),
    (12, 'closed_first = ["both", "responder"]', "closed_first: expected both or server, seen client (frame 8"),
    (13, 'time_wait = "none"', "time_wait: expected none, seen client (frame 11, ACK of the client)"),
    (14, "max_handshake_ms = 0.05", "max_handshake_ms: expected at most 0.05 ms, seen 0.087 ms (frame 3, ACK of"),
    (16, 'findings = "refused"', "findings: expected refused, seen none"),
    (17, "octets.client = { min = 5 }", "octets of the client: expected at least 5, seen 4 (frame 4, PSH,ACK of the"),
    (18, "octets.responder = { max = 3 }", "octets of the server: expected at most 3, seen 4 (frame 6, PSH,ACK of the"),
    (19, 'states.originator = "CLOSED > SYN-SENT"', "states of the client: expected CLOSED > SYN-SENT, seen CLOSED"),
    (20, 'states.server = "LISTEN > CLOSED"', "states of the server: expected LISTEN > CLOSED, seen LISTEN > SYN-"),
]  # fmt: skip


def test_what_is_so_is_met(capture: Path) -> None:
    assert checked(capture, MET) == (0, "ok: 1 connection\n", "")
    assert checked(capture, "\ufeff" + MET.replace("\n", "\r\n")) == (0, "ok: 1 connection\n", "")


@pytest.mark.parametrize(("line", "wrong", "says"), WRONG_VALUES)
def test_a_wrong_value_fails_and_its_line_is_named(capture: Path, line: int, wrong: str, says: str) -> None:
    lines = MET.splitlines()
    lines[line - 1] = wrong
    if "stream = [" in wrong:
        lines[8] = ""  # without a count, each stream that is named alone must be there
        lines = [one for number, one in enumerate(lines, 1) if number not in (5, 6, 8)]
    code, out, errors = checked(capture, "\n".join(lines))
    failures = [one for one in out.splitlines() if one.startswith("FAILED ")]
    assert (code, errors, len(failures)) == (1, "", 1)
    assert says in failures[0]
    place = 4 if 5 <= line <= 9 else line
    assert failures[0].endswith(f"écho.expect.toml:{place}]")


NO_CLIENT = [
    ("simultaneous-open.pcap", {"closed_first": "client"}, "expected client, seen originator"),
    ("simultaneous-open.pcap", {"octets": {"client": {"min": 0}}}, "no end is known to be client or server"),
    ("self-connect.pcap", {"states": {"server": "CLOSED"}}, "no end is known to be client or server (self-connect han"),
    ("self-connect.pcap", {"time_wait": ["client", "server"]}, "no end is known to be client or server"),
    ("late-duplicate-syn-ack.pcap", {"closed_first": "server"}, "expected server, seen client"),
]


@pytest.mark.parametrize(("name", "table", "says"), NO_CLIENT)
def test_nobody_is_client_where_the_capture_does_not_show_it(name: str, table: dict[str, Any], says: str) -> None:
    expected = expectations({"schema": 1, "expect": [table]}, Lines("x"))
    (message,) = [str(one) for check in checks(expected, recorded(name)) for one in check.failures]
    assert says in message


def test_above_the_tables_no_findings_is_asked_of_run_and_connections() -> None:
    asked: dict[str, Any] = {"schema": 1, "no_findings": ["warn", "refused"]}
    assert seen_in("address-sweep.pcap", asked) == {(True, "warn host-scan of 198.18.0.1"), (False, "note refused")}
    named = {**asked, "expect": [{"where": 'handshake.kind == "refused"', "findings": "refused"}]}
    assert seen_in("address-sweep.pcap", named) == {(True, "warn host-scan of 198.18.0.1")}


def seen_in(name: str, document: dict[str, Any]) -> set[tuple[bool, str]]:
    """Return what is seen in place of what is expected, and whether of the run."""
    of_all = checks(expectations(document, Lines("x")), recorded(name))
    return {(one.connection is None, failure.unmet.seen.split(":")[0]) for one in of_all for failure in one.failures}


WORDS = st.sampled_from(
    [*HANDSHAKE_KINDS, *TEARDOWN_KINDS, *list(BY_CODE)[:20], "client", "server", "originator", "responder", "both",
     "none", "warn", "*", "reset-*", "CLOSED", "LISTEN > CLOSED", "127.0.0.1", "0-", "stream == 0", ""]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["client", "server", "originator", "min", "max"]) | st.text(max_size=4), inner
        )
    ),
    max_leaves=6,
)
TABLES = st.dictionaries(st.sampled_from(EXPECT_KEYS) | st.text(max_size=6), VALUES, max_size=4)


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from(DOCUMENT_KEYS) | st.text(max_size=6), VALUES, max_size=3),
    st.lists(TABLES, max_size=2) | VALUES,
)
def test_whatever_a_document_says_it_is_understood_or_refused_in_one_line(
    document: dict[str, Any], tables: Any
) -> None:
    try:
        expectations({"schema": 1, "expect": tables, **document}, Lines("x"))
    except ExpectationError as error:
        assert str(error).startswith("x: ")
        assert "\n" not in str(error)


@st.composite
def understood_tables(draw: st.DrawFn) -> dict[str, Any]:
    """Return a table of the schema."""
    count = st.integers(0, 9) | st.builds(lambda a, b: {"min": a, "max": a + b}, st.integers(0, 9), st.integers(0, 9))
    ends = st.sampled_from([("client", "server"), ("originator", "responder"), ("client",), ("responder",)])
    states = st.lists(st.sampled_from(["CLOSED", "LISTEN", "ESTABLISHED", "TIME-WAIT"]), min_size=1, max_size=3)
    owners = st.sampled_from(["client", "server", "originator", "responder", "both", "none"])
    one_or_some = {
        "handshake": st.sampled_from(HANDSHAKE_KINDS),
        "teardown": st.sampled_from(TEARDOWN_KINDS),
        "closed_first": owners,
        "time_wait": owners,
    }
    values: dict[str, st.SearchStrategy[Any]] = {
        "port": st.integers(0, 65535),
        "host": st.sampled_from(["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"]),
        "stream": st.integers(0, 3) | st.sampled_from(["0-", "0,2-3"]) | st.just([0, 1]),
        "where": st.sampled_from(["octets.originator == 4", 'handshake.kind == "three-way"']),
        "count": count,
        **{key: words | st.lists(words, min_size=1, max_size=3) for key, words in one_or_some.items()},
        "states": ends.flatmap(lambda names: st.fixed_dictionaries(dict.fromkeys(names, states))),
        "octets": ends.flatmap(lambda names: st.fixed_dictionaries(dict.fromkeys(names, count))),
        "max_handshake_ms": st.integers(1, 1000) | st.floats(0.001, 1e9),
        "max_retransmissions": st.integers(0, 3),
        "findings": st.sampled_from(sorted({*BY_CODE} - ABOUT_RUN)),
        "no_findings": st.sampled_from(["chat", "note", "warn", "error", "*"]),
    }
    assert {*values} == {*EXPECT_KEYS}
    keys = draw(st.lists(st.sampled_from(EXPECT_KEYS), max_size=5, unique=True))
    return {key: draw(values[key]) for key in keys}


@given(
    understood_tables(), st.sampled_from(["four-way.pcap", "self-connect.pcap", "time-wait-reopened.pcap", "udp.pcap"])
)
def test_what_is_understood_can_be_checked(table: dict[str, Any], name: str) -> None:
    expected = expectations({"schema": 1, "expect": [table]}, Lines("x"))
    for check in checks(expected, recorded(name)):
        for failure in check.failures:
            assert "\n" not in str(failure)
            assert str(failure).endswith(" [x]")


def test_one_table_alone_is_understood() -> None:
    """As a keyword call of the pytest plugin has it."""
    one = expect({"handshake": "three-way", "count": 1}, "assert_handshakes()")
    assert [clause.key for clause in one.clauses] == ["handshake"]
    with pytest.raises(ExpectationError, match=r"^assert_handshakes\(\): there is no key 'handshak'. Did you mean"):
        expect({"handshak": "three-way"}, "assert_handshakes()")


def test_every_claim_is_a_key_of_a_table() -> None:
    assert {*CLAIMS} < {*EXPECT_KEYS}
