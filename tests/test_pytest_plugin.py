"""The pytest plugin, as users have it: from the wheel, in a pytest of its own (`pytester`), the source tree gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from handshake_inspect import inspect
from handshake_inspect.testing.isolation import why_not_here
from tests.installation import REPOSITORY, Installed
from tests.lab.privileges import needs_private_world, require
from tests.test_readme import README, blocks, furnish

pytest_plugins = ["pytester"]

#: Runs a Python with the file after it, and without the right to capture, or without that to make namespaces too.
#: Of what root may, the mapping of root into a user namespace stays (CAP_SETFCAP, user_namespaces(7)).
WITHOUT_RIGHTS = """
import ctypes, os, struct, sys
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, SETFCAP = 24, 38, 31
libc = ctypes.CDLL(None)
kept = SETFCAP if os.geteuid() == 0 else -1
for capability in range(64):
    if capability != kept:
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
if kept == SETFCAP:
    libc.capset(struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", 1 << kept, 1 << kept, 0, 0, 0, 0))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
FORBIDDEN = """
import os, sys
sys.path[:0] = [{repository!r}]
from tests.lab.privileges import forbid_namespaces
forbid_namespaces()
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

#: What the inner tests talk with: a server in a thread that closes when the client has.
ECHO = """
import socket, threading

def echo(port=0, octets=b"ping"):
    listener = socket.create_server(("127.0.0.1", port))

    def serve():
        with listener, listener.accept()[0] as connection:
            connection.sendall(connection.recv(100))
            connection.recv(100)

    server = threading.Thread(target=serve)
    server.start()
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(octets)
        client.recv(100)
    server.join()
"""

FILES = r"""
import pytest

def test_it_wraps_the_inspection(handshakes):
    found = handshakes("four-way.pcap")
    assert found.one.teardown.kind == "four-way"
    assert len(found) == len(found.connections) == len(list(found)) == 1
    assert found[0].handshake.kind == found[:][0].handshake.kind == "three-way"
    assert "TIME-WAIT" in found.ladder()

def test_it_chooses(handshakes):
    found = handshakes("port-scan.pcap")
    assert len(found) == 30 and found.of(port=23).one.responder.port == 23
    assert [one.stream for one in found.of(stream="1-2,29")] == [1, 2, 29]
    assert len(found.of(host="192.0.2.0/24")) == 0
    refused = found.of(where="handshake.kind == 'refused'")
    assert 0 < len(refused) < 30 and len(refused.of(where="handshake.kind == 'three-way'")) == 0

def test_an_absolute_path_is_one(handshakes, request):
    assert len(handshakes(request.path.parent / "four-way.pcap")) == 1

def test_a_plain_assert_fails_with_the_ladder(handshakes):
    found = handshakes("four-way.pcap")
    assert found.one.teardown.kind == "three-segment"

def test_one_of_several_is_asked_for(handshakes):
    handshakes("port-scan.pcap").of(stream="3-25").one

def test_the_connections_looked_at_are_drawn(handshakes):
    found = handshakes("port-scan.pcap")
    assert len(found.connections) == 30
    for one in found:
        assert one.stream < 7

def test_it_is_as_expected(handshakes):
    found = handshakes("four-way.pcap")
    found.check()
    found.expect(
        count=1, handshake="three-way", teardown=["four-way", "three-segment"], closed_first="client",
        states={"client": "CLOSED > SYN-SENT > ESTABLISHED > FIN-WAIT-1 > FIN-WAIT-2 > TIME-WAIT"},
        max_handshake_ms=100, no_findings="warn", octets={"client": 4, "server": 4},
    )
    scan = handshakes("port-scan.pcap")
    scan.expect(port=20, handshake="refused", count=1)
    scan.of(stream="0-1").expect(handshake="refused", count=2)
    scan.of(stream="0-1").expect(handshake="refused", port=20, count=1)

def test_what_is_not_as_expected_is_marked_in_the_ladder(handshakes):
    handshakes("port-scan.pcap").of(stream="1-9").expect(port=22, teardown="four-way", count=2)

def test_the_file_beside_a_capture_differs(handshakes):
    handshakes("below/three-segment.pcap").check()

@pytest.mark.parametrize("expected", [{"teardwn": "four-way"}, {"teardown": "fourway"}, {"port": -1}])
def test_an_expectation_that_is_none(handshakes, expected):
    with pytest.raises(ValueError, match=r"expect\(\): "):
        handshakes("four-way.pcap").expect(**expected)
    with pytest.raises(TypeError, match="of.. knows port, host, stream and where, not teardown"):
        handshakes("four-way.pcap").of(teardown="four-way")

def test_the_captures_used_last_are_shown(handshakes):
    for name in ["port-scan.pcap", "four-way.pcap", "below/three-segment.pcap", "four-way.pcap"]:
        handshakes(name)
    raise ValueError("of the test")

def test_there_is_no_such_capture(handshakes):
    handshakes("absent.pcap")

def test_the_name_is_forgotten(handshakes):
    handshakes()

def test_the_names_are_a_list(handshakes):
    handshakes(["four-way.pcap"])

def test_a_profile_that_is_none(handshakes):
    handshakes("four-way.pcap", profile="solaris")

def test_there_is_no_such_connection(handshakes):
    handshakes("four-way.pcap").of(port=80)[0]

@pytest.mark.capture("four-way.pcap")
def test_marked_with_one(captured):
    assert captured.one.teardown.kind == "four-way"

@pytest.mark.capture("four-way.pcap", "below/three-segment.pcap")
def test_marked_with_two(captured, request):
    assert captured.one.teardown.kind in request.node.name

def test_without_a_mark(captured):
    pass

@pytest.mark.capture("nowhere.pcap")
def test_marked_with_none_that_exists(captured):
    pass

@pytest.mark.capture(["four-way.pcap"])
def test_marked_with_a_list(captured):
    pass

@pytest.mark.parametrize("n", [pytest.param(2, marks=pytest.mark.capture("four-way.pcap", "port-scan.pcap"))])
def test_a_parameter_with_two(captured, n):
    pass

@pytest.mark.capture("four-way.pcap", profile="rfc")
def test_marked_with_more_than_names(captured):
    pass
"""

LIVE = """
import asyncio, os, subprocess, sys, time, warnings
import pytest
from talk import echo

CLIENT = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1]))).sendall(b'four')"

def note(text):
    with open("log", "a") as log:
        print(text, file=log)

@pytest.fixture(scope="session")
def for_all():
    note("made")
    yield
    note("torn down")

@pytest.fixture(scope="module")
def of_the_module(for_all):
    note("made for the module")
    yield
    note("torn down for the module")

def test_before(for_all):
    pass

def test_of_a_port(capture_handshakes, for_all, of_the_module):
    with capture_handshakes(port=8001) as seen:
        assert "being captured" in repr(seen)
        echo(8001)
        echo(8002)
    assert seen.one.handshake.kind == "three-way"
    assert seen.one.teardown.complete and seen.one.octets.originator == 4
    assert seen.one.missing_octets.originator == 0 and seen.one.time_wait[0].owner == "originator"
    warnings.warn("seen in the summary")

def test_of_all_ports(capture_handshakes, of_the_module):
    with capture_handshakes() as seen:
        echo(8001)
        echo(8002)
    assert [len(seen.of(port=port)) for port in (8001, 8002)] == [1, 1]

def test_of_another_process(capture_handshakes):
    async def converse():
        closed = asyncio.Event()
        async def serve(reader, writer):
            await reader.read()
            writer.close()
        server = await asyncio.start_server(serve, "127.0.0.1", 8003)
        async with capture_handshakes(port=8003) as seen:
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", CLIENT, "8003")
            await process.wait()
        server.close()
        return seen
    seen = asyncio.run(converse())
    assert seen.one.teardown.complete and seen.one.octets.originator == 4

def test_what_is_left_open(capture_handshakes):
    import socket
    listener = socket.create_server(("127.0.0.1", 8004))
    with listener, capture_handshakes(port=8004, closing_s=0.1) as seen:
        client = socket.create_connection(("127.0.0.1", 8004))
    client.close()
    assert seen.one.teardown.kind == "open"

def test_a_process_that_goes_on(capture_handshakes):
    with capture_handshakes(port=8005) as seen:
        child = os.fork()
        if child == 0:
            time.sleep(60)
        echo(8005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert seen.one.teardown.complete

@pytest.mark.parametrize("path", ["a/b"])
def test_that_fails(capture_handshakes, path):
    with capture_handshakes(port=8001) as seen:
        echo(8001)
    with capture_handshakes(port=8002) as other:
        echo(8002, b"another")
    assert seen.one.octets.originator == 5

def test_that_fails_inside(capture_handshakes):
    with capture_handshakes(port=8001) as seen:
        echo(8001)
        raise ValueError("not of the capture")

@pytest.fixture
def all_the_time(capture_handshakes):
    with capture_handshakes(port=8006) as seen:
        yield seen

def test_that_fails_while_its_fixture_captures(all_the_time):
    echo(8006, b"in a fixture")
    raise ValueError("not over yet")

def test_of_many_blocks(capture_handshakes):
    every = []
    for octets in range(1, 6):
        with capture_handshakes(port=8007) as seen:
            echo(8007, b"o" * octets)
        every.append(seen)
    assert every[0].one.octets.originator == 0

def test_after(for_all):
    pass
"""

Inner = Callable[..., pytest.RunResult]


@pytest.fixture
def inner(pytester: pytest.Pytester, installed: Installed, monkeypatch: pytest.MonkeyPatch) -> Inner:
    """Run pytest in the environment that has the wheel, in a folder of its own."""
    for name in ("PYTHONPATH", "PYTHONHOME", "COLUMNS", "HANDSHAKE_REQUIRE_CAPTURE", "CI", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    # pytest compiles the modules of a plugin's distribution anew: 0.5 s, each time where it may not keep them.
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-ra -W error -p no:hypothesispytest")
    pytester.makepyfile(
        talk=ECHO, without_rights=WITHOUT_RIGHTS, forbidden=FORBIDDEN.format(repository=str(REPOSITORY))
    )

    def run(*arguments: str, through: tuple[str, ...] = ()) -> pytest.RunResult:
        return pytester.run(installed.scripts / "python", *through, "-m", "pytest", *arguments)

    return run


def test_captures_from_files(pytester: pytest.Pytester, inner: Inner) -> None:
    below = pytester.mkdir("below")
    for name, folder in (("four-way", pytester.path), ("port-scan", pytester.path), ("three-segment", below)):
        shutil.copy(REPOSITORY / "pcaps" / f"{name}.pcap", folder)
    shutil.copy(REPOSITORY / "pcaps" / "four-way.expect.toml", pytester.path)
    shutil.copy(REPOSITORY / "pcaps" / "four-way.expect.toml", below / "three-segment.expect.toml")
    pytester.makepyfile(test_files=FILES)
    result = inner("--strict-markers", "-v")
    result.assert_outcomes(passed=10, failed=11, errors=5)
    result.stdout.fnmatch_lines(
        [
            "*::test_marked_with_one PASSED*",
            "*::test_marked_with_two[[]four-way.pcap] PASSED*",
            "*::test_marked_with_two[[]below/three-segment.pcap] PASSED*",
            "captured: the test has no mark that names a capture: @pytest.mark.capture*",
            "captured: nowhere.pcap: there is no such file: looked for *nowhere.pcap",
            "captured: a capture is named by text or a path, no list: handshakes*",
            "captured: a parameter has one capture, not 2: give each its own",
            "captured: the mark takes names of captures, and no profile=; handshakes() knows profile=",
            "*'four-way' == 'three-segment'*",
            "*- ladder of stream 0 of four-way.pcap -*",
            "*FIN-WAIT-1 *FIN,ACK seq=u ack=v*u=x+1*",
            "*- capture four-way.pcap -*",
            "handshake-inspect show four-way.pcap",
            'E *port-scan.pcap, stream = "3-25": expected exactly one connection, seen 23:',
            "E *stream *originator → responder *handshake *",
            "E *and 13 more connections",
            "*- ladder of stream 0 of port-scan.pcap -*",
            "27 more connections",
            "handshake-inspect read *port-scan.pcap",
            "*assert 7 < 7*",
            "*- ladder of stream 7 of port-scan.pcap -*",
            "*- ladder of stream 6 of port-scan.pcap -*",
            "*- ladder of stream 5 of port-scan.pcap -*",
            "*- capture port-scan.pcap -*",
            "E *AssertionError: port-scan.pcap stream 2 (198.18.0.1:* → 198.18.0.2:22): teardown: expected four-way, *",
            'E *port-scan.pcap: connections with stream = "1-9", port = 22: expected 2, seen 1 [[]expect()]',
            "E *»*RST*",
            "E *✗ teardown: expected four-way, seen aborted",
            "*- capture port-scan.pcap -*",
            "warn port-scan: *",
            "handshake-inspect read port-scan.pcap",
            "E *AssertionError: below/three-segment.pcap stream 0 *teardown: expected four-way, seen three-segment*"
            "[[]below/three-segment.expect.toml:*]",
            "E *✗ states of the client: expected CLOSED > SYN-SENT > *",
            "handshake-inspect show below/three-segment.pcap",
            "E *ValueError: of the test",
            "*- ladder of stream 0 of four-way.pcap -*",
            "*- ladder of stream 0 of below/three-segment.pcap -*",
            "*- ladder of stream 0 of four-way.pcap -*",
            "E *absent.pcap: there is no such file: looked for *absent.pcap",
            "E *TypeError: handshakes() missing 1 required positional argument: 'name'",
            "E *TypeError: a capture is named by text or a path, no list: handshakes*",
            "E *ValueError: profile: 'solaris' is none of linux, *",
            "E *IndexError: four-way.pcap, port = 80: there is no connection 0: it has 0",
        ]
    )
    result.stdout.no_fnmatch_line("*handshake_inspect*.py:[0-9]*: *")
    assert not (pytester.path / "handshake-captures").exists()


def check_live(pytester: pytest.Pytester, inner: Inner, *arguments: str, through: tuple[str, ...] = ()) -> str:
    """Run the live tests, and say what is the same wherever they run. Returns the log of fixtures."""
    pytester.makepyfile(test_live=LIVE)
    result = inner(*arguments, "-W", "default:seen in", through=through)
    result.assert_outcomes(passed=7, failed=4, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "*assert 4 == 5*",
            "*- ladder of stream 0 of lo port 8001 -*",
            "*SYN-SENT *SYN seq=x*",
            "*- capture lo port 8001 -*",
            "handshake-inspect show handshake-captures/test_live.py-test_that_fails-a-b-????????.pcapng",
            "*- ladder of stream 0 of lo port 8002, capture 2 -*",
            '*"another"*',
            "E *ValueError: not of the capture",
            "*- ladder of stream 0 of lo port 8001 -*",
            "handshake-inspect show handshake-captures/test_live.py-test_that_fails_inside.pcapng",
            "*- capture lo port 8006 -*",
            "it goes on; it will be handshake-captures/test_live.py-test_that_fails_while_its_fixture_captures.pcapng",
            "*- capture lo port 8007 -*",
            "handshake-inspect show handshake-captures/test_live.py-test_of_many_blocks.pcapng",
            "*- ladder of stream 0 of lo port 8007, capture 5 -*",
        ]
    )
    result.stdout.fnmatch_lines(["*UserWarning: seen in the summary"])
    assert (pytester.path / "handshake-captures" / ".gitignore").read_text().endswith("\n*\n")
    kept = sorted((pytester.path / "handshake-captures").glob("*.pcapng"))
    octets = {path.stem: [one.octets.originator for one in inspect(path).connections] for path in kept}
    assert sorted(octets.values()) == [[1], [2], [3], [4], [4], [4], [5], [7], [12]]
    assert octets["test_live.py-test_of_many_blocks~5"] == [5]
    return (pytester.path / "log").read_text()


def test_live_captures_where_this_process_may_capture(pytester: pytest.Pytester, inner: Inner) -> None:
    require(not why_not_here(), why_not_here())
    log = check_live(pytester, inner, "--handshake-captures", "handshake-captures")
    assert log.splitlines() == ["made", "made for the module", "torn down for the module", "torn down"]


def test_live_captures_of_a_process_without_the_right(pytester: pytest.Pytester, inner: Inner) -> None:
    needs_private_world()
    log = check_live(pytester, inner, through=("without_rights.py",))
    # Each child makes its own, of the session too: that of the first test, which is no child, ends with the run.
    of_a_child = ["made", "made for the module", "torn down for the module", "torn down"]
    assert log.splitlines() == ["made", *of_a_child, *of_a_child, "torn down"]


def test_workers_of_xdist_use_one_port_at_once_as_the_readme_does(pytester: pytest.Pytester, inner: Inner) -> None:
    needs_private_world()
    (block,) = blocks(README.read_text(encoding="utf-8"), "python", "run by pytest")
    furnish(pytester.path)
    pytester.makepyfile(
        test_of_the_readme=block.text,
        test_same_port="""
            import pytest, time
            from talk import echo

            @pytest.mark.parametrize("n", range(2))
            def test_a_port_for_each(capture_handshakes, n):
                with capture_handshakes() as seen:
                    echo(8000)
                    time.sleep(0.1)
                assert seen.one.teardown.complete
                assert n != 1
        """,
    )
    result = inner("-n", "2", "--handshake-private")
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["*- ladder of stream 0 of lo -*", "handshake-inspect show handshake-captures/*"])


def test_what_happens_in_a_private_network(pytester: pytest.Pytester, inner: Inner) -> None:
    needs_private_world()
    pytester.makepyfile(
        """
        import os, socket, subprocess, threading, pytest
        from pathlib import Path

        MADE_BEFORE = socket.create_server(("127.0.0.1", 0))

        def teardown_module():
            MADE_BEFORE.close()

        def note(what):
            with Path("log").open("a") as log:
                print(what, os.getpid(), file=log)

        @pytest.fixture(scope="module")
        def server():
            note("made")
            with socket.create_server(("127.0.0.1", 8123)) as listener:
                def serve():
                    while True:
                        listener.accept()[0].close()
                threading.Thread(target=serve, daemon=True).start()
                try:
                    yield listener.getsockname()
                finally:
                    note("ended")

        def test_makes_a_server_for_all(server):
            socket.create_connection(server).close()

        def test_captures_it(server, capture_handshakes):
            with capture_handshakes(port=8123) as seen, socket.create_connection(server) as client:
                client.recv(1)
            assert seen.one.handshake.kind == "three-way"

        def test_made_before(capture_handshakes):
            try:
                socket.create_connection(MADE_BEFORE.getsockname())
            except OSError as error:
                raise RuntimeError("of a library") from error

        def test_killed(capture_handshakes):
            os.kill(os.getpid(), 9)

        def test_leaves_others(capture_handshakes, tmp_path):
            if os.fork() == 0:
                import time
                time.sleep(60)

        def test_skips(capture_handshakes):
            pytest.skip("itself")

        @pytest.mark.xfail(strict=True)
        def test_fails_as_expected(capture_handshakes):
            raise AssertionError

        def test_asks_late(request):
            request.getfixturevalue("capture_handshakes")

        def test_ends_the_run(capture_handshakes):
            pytest.exit("that is enough", 4)

        def test_never_runs():
            pass
        """
    )
    kept = pytester.mkdir("handshake-captures")
    for name in ("test_captures_it", "test_made_before"):
        (kept / f"test_what_happens_in_a_private_network.py-{name}.pcapng").touch()
    result = inner(through=("without_rights.py",))
    result.assert_outcomes(passed=3, failed=2, skipped=2, xfailed=1)
    # What was kept of a test goes when it passes.
    assert [one.name for one in kept.iterdir()] == ["test_what_happens_in_a_private_network.py-test_made_before.pcapng"]
    assert result.ret == 4
    result.stdout.fnmatch_lines(
        ["E *RuntimeError: of a library", "*- private network -*", "this test ran in a private network of its own: *"]
    )
    made_by, again, ended, at_last = (line.split() for line in (pytester.path / "log").read_text().splitlines())
    assert [made_by[0], again[0], ended[0], at_last[0]] == ["made", "made", "ended", "ended"]
    assert again[1] == ended[1] != made_by[1] == at_last[1]
    result.stdout.fnmatch_lines(["*in its private network: *ended its process with SIGKILL", "*that is enough*"])
    result.stdout.fnmatch_lines(["*cannot capture: capture_handshakes must be among the arguments*"])


def test_a_plugin_that_runs_a_test_again_does_so_in_its_private_network(
    pytester: pytest.Pytester, inner: Inner
) -> None:
    """As pytest-rerunfailures does, which has a protocol of its own."""
    needs_private_world()
    pytester.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            for outcome in ("rerun", "failed"):
                reports = runtestprotocol(item, nextitem=nextitem, log=False)
                is_again = any(one.failed for one in reports) and outcome == "rerun"
                for one in reports:
                    one.outcome = outcome if one.failed else one.outcome
                    item.ihook.pytest_runtest_logreport(report=one)
                if not is_again:
                    break
                item._initrequest()
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            return True
        """
    )
    pytester.makepyfile(
        """
        from pathlib import Path
        from talk import echo

        def test_holds_the_second_time(capture_handshakes):
            with capture_handshakes() as seen:
                echo()
            expected = 1 if Path("again").exists() else 2
            Path("again").touch()
            seen.expect(count=expected)
        """
    )
    result = inner("--handshake-private", "-v")
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}
    result.stdout.fnmatch_lines(["*::test_holds_the_second_time RERUN*", "*::test_holds_the_second_time PASSED*"])


def test_where_nobody_may_capture_a_test_is_skipped_or_fails(pytester: pytest.Pytester, inner: Inner) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(params=["0", "1"])
        def required(monkeypatch, request):
            monkeypatch.setenv("HANDSHAKE_REQUIRE_CAPTURE", request.param)

        def test_it(required, capture_handshakes):
            pass
        """
    )
    result = inner(through=("forbidden.py", "without_rights.py"))
    result.assert_outcomes(skipped=1, errors=1)
    reason = "cannot capture: this process lacks CAP_NET_RAW, and a seccomp filter forbids namespaces here"
    result.stdout.fnmatch_lines([f"{reason}*(HANDSHAKE_REQUIRE_CAPTURE is set)", f"SKIPPED * {reason}*"])


def test_it_is_inert_until_it_is_used(pytester: pytest.Pytester, inner: Inner) -> None:
    pytester.makeconftest(
        """
        import sys

        def pytest_unconfigure():
            print(sorted({name.partition(".")[0] for name in sys.modules} & {"numpy", "scapy", "rich", "click"}))
            print(sorted(name for name in sys.modules if name.startswith("handshake_inspect")))
        """
    )
    pytester.makepyfile("def test_it(tmp_path): pass")
    result = inner("--strict-markers")
    result.assert_outcomes(passed=1)
    assert result.outlines[-2:] == ["[]", "['handshake_inspect', 'handshake_inspect.pytest_plugin']"]
    again = inner("--fixtures", "-p", "handshake_inspect.pytest_plugin")  # named a second time
    again.stdout.fnmatch_lines(["handshakes -- *", "captured -- *", "capture_handshakes -- *"])
