"""A command in a private world under strace: its calls and its segments are of one run, and stand on one picture."""

from __future__ import annotations

import re
import shutil

import pytest

from handshake_inspect.cli.tracing import print_traced
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.lab.calls import SocketCall
from handshake_inspect.lab.command.run import run_command
from handshake_inspect.lab.command.running import Running
from handshake_inspect.lab.strace.beside import Attribution, attribute
from handshake_inspect.views.ladder import LadderOptions
from tests.lab.privileges import as_ordinary_user, needs_private_world, needs_strace
from tests.lab.strace.programs import ECHO, PROGRAMS, PYTHON, lanes_of

#: The client's child has its socket too: close() sends nothing, and the child's end does.
INHERITED = """
import _socket, os
listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
listener.bind(("127.0.0.1", 8000))
listener.listen(5)
client = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
client.connect(("127.0.0.1", 8000))
number, _ = listener._accept()
reader, writer = os.pipe()
if os.fork() == 0:
    os.close(number)
    os.read(reader, 1)
    os._exit(0)
client.close()
os.write(writer, b"!")
os.read(number, 9)
os.wait()
"""

#: Twelve processes connect at once, by turns with connect() that waits and that does not, and say who they are.
SEVERAL = """
import _socket, os, select
listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
listener.bind(("127.0.0.1", 8000))
listener.listen(16)
for number in range(12):
    if os.fork() == 0:
        listener.close()
        client = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        client.setblocking(number % 2 == 0)
        client.connect_ex(("127.0.0.1", 8000))
        select.select([], [client], [])
        client.setblocking(True)
        client.send(b"client-%02d" % number)
        client.recv(99)
        os._exit(0)
for _ in range(12):
    accepted, _ = listener._accept()
    server = _socket.socket(fileno=accepted)
    server.send(server.recv(99))
    server.close()
for _ in range(12):
    os.wait()
"""

#: curl fetches a page of http.server, both as people use them.
FETCHING = """
import http.server, subprocess, threading
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.wfile.write(b"HTTP/1.0 200 OK\\r\\n\\r\\nhello")
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Page)
threading.Thread(target=server.serve_forever).start()
subprocess.run(["curl", "-s", "--noproxy", "*", "-o", "/dev/null", "http://127.0.0.1:8000/"], check=True)
server.shutdown()
server.server_close()
"""


@pytest.fixture(autouse=True)
def strace() -> None:
    needs_private_world()
    needs_strace()


def inspected(running: Running) -> Inspection:
    inspector = Inspector(fold=False)
    number = inspector.begin_capture("lo", "live")
    for block in running.blocks():
        inspector.add_records(block, number)
    return inspector.result()


def calls_and_fin(running: Running) -> tuple[list[SocketCall], int]:
    inspection = inspected(running)
    assert running.ended is not None
    assert running.ended.log is not None
    assert not running.ended.log.unread
    found = attribute(running.ended.log.sockets, inspection.connections)
    (one,) = inspection.connections
    return found.calls_of(one), next(step.time_ns for step in inspection.steps(0) if "FIN" in step.flags)


def test_the_calls_of_both_ends_are_found() -> None:
    calls, _ = run_command([*PYTHON, "-c", ECHO.source], calls_and_fin, traced=True)
    assert [str(call).split(" = ")[0] for call in calls if call.end == "client"] == [
        text.split(" = ")[0] for text in ECHO.client
    ]
    assert {call.local for call in calls if call.end == "server"} == {"127.0.0.1:8000"}


def attributed(running: Running) -> tuple[Inspection, Attribution]:
    inspection = inspected(running)
    assert running.ended is not None
    assert running.ended.log is not None
    sockets = running.ended.log.sockets
    return inspection, attribute(sockets, inspection.connections, lambda one: inspection.steps(one.stream))


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_lanes_of_each_program(program: str) -> None:
    def lanes(running: Running) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        inspection, found = attributed(running)
        return lanes_of(found, list(inspection.connections))

    one = PROGRAMS[program]
    told = run_command([*PYTHON, "-c", one.source], lanes, traced=True)
    server = tuple(text.replace("exited with 3", "exit(3)") for text in one.server)  # exit_group() is in the log
    assert told == [(one.client, server)] * one.connections


def test_each_of_several_clients_at_once_has_its_own_connection() -> None:
    def told(running: Running) -> tuple[int, list[set[str]]]:
        inspection, found = attributed(running)
        spoken = [" ".join(map(str, found.calls_of(one))) for one in inspection.connections]
        return found.guesses, [set(re.findall(r"client-\d\d", text)) for text in spoken]

    for _ in range(3):  # a machine that stops a client between two calls leaves one of them to be guessed
        guesses, names = run_command([*PYTHON, "-c", SEVERAL], told, traced=True)
        if not guesses:
            break
    assert guesses == 0
    assert sorted(map(sorted, names)) == [[f"client-{number:02}"] for number in range(12)]


def test_no_call_returns_before_the_segment_that_it_waited_for() -> None:
    def disorder(running: Running) -> list[str]:
        inspection, found = attributed(running)
        wrong = []
        for one in inspection.connections:
            steps = inspection.steps(one.stream)
            for call in found.calls_of(one, steps):
                awaited = {"connect": 0 if call.result == "EINPROGRESS" else 1, "accept": 2}.get(call.name)
                if awaited is not None and call.returned_ns < steps[awaited].time_ns:
                    wrong.append(str(call))
        return wrong

    assert run_command([*PYTHON, "-c", SEVERAL], disorder, traced=True) == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_and_a_server_of_threads() -> None:
    def lanes(running: Running) -> list[str]:
        inspection, found = attributed(running)
        (one,) = inspection.connections
        calls = found.calls_of(one)
        return [f"{call.end} {call.name}" for call in calls if call.name in ("connect", "accept", "send", "recv")]

    told = run_command([PYTHON[0], "-c", FETCHING], lanes, traced=True)
    assert told.count("client connect") == told.count("server accept") == told.count("client send") == 1
    assert {"server recv", "server send", "client recv"} <= set(told)


def test_a_command_without_calls_on_tcp_sockets_is_said_to_be_one(capfd: pytest.CaptureFixture[str]) -> None:
    run_command(["sh", "-c", "exit 9"], printed, traced=True)
    assert capfd.readouterr() == ("", "an echo made no call on a TCP socket\n")


def test_an_ordinary_user_may_trace_too() -> None:
    calls, _ = as_ordinary_user(lambda: run_command([*PYTHON, "-c", ECHO.source], calls_and_fin, traced=True))
    assert len(calls) == len(ECHO.client + ECHO.server)


def test_who_inherited_a_socket_closes_it_last() -> None:
    calls, fin_ns = run_command([*PYTHON, "-c", INHERITED], calls_and_fin, traced=True)
    ours = [call for call in calls if call.end == "client"]
    assert [call.text.partition("] ")[2] for call in ours] == ["connect(127.0.0.1:8000)", "close()", "exit(0)"]
    assert ours[1].returned_ns < ours[2].entered_ns < fin_ns


def test_the_exit_status_is_the_commands_and_what_it_leaves_behind_is_not_strace() -> None:
    def told(running: Running) -> tuple[int, tuple[str, ...]]:
        inspected(running)
        assert running.ended is not None
        return running.ended.exit_status, running.ended.left

    status, left = run_command(["sh", "-c", "sleep 600 & exit 3"], told, traced=True)
    assert (status, [name.split()[0] for name in left]) == (3, ["sleep"])


def test_who_is_outside_is_said_to_be_out_of_reach(capfd: pytest.CaptureFixture[str]) -> None:
    script = "import _socket; _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM).connect_ex(('192.0.2.1', 80))"
    run_command([*PYTHON, "-c", script], printed, traced=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(
        "connect(192.0.2.1:80): ENETUNREACH: nobody is in this private network but its own loopback\n"
    )


def printed(running: Running) -> None:
    inspection = inspected(running)
    assert running.ended is not None
    assert running.ended.log is not None
    options = LadderOptions(width=100)
    print_traced(inspection, running.frames, running.ended.log, options, title="an echo", dropped=0)


def test_the_ladder_has_calls_segments_and_octets(capfd: pytest.CaptureFixture[str]) -> None:
    run_command([*PYTHON, "-c", ECHO.source], printed, traced=True)
    out, err = capfd.readouterr()
    assert out.startswith("an echo · client 127.0.0.1:")
    assert "lo of a private network · 10 segments · 0 dropped" in out
    for said in ("listen(5) = 0", "connect(127.0.0.1:8000)", '"BITH"', "recv(1024) = b''", "TIME-WAIT"):
        assert said in out
    assert err == ""
