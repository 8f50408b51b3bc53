"""Each call of a session stands beside the connection to which it belongs, also where sockets are used again."""

from __future__ import annotations

import pytest

from handshake_inspect.lab.bench import Bench, failing
from handshake_inspect.lab.scenarios.scenario import Scenario
from handshake_inspect.lab.session import run_demo
from handshake_inspect.lab.whose import calls_of
from tests.lab.privileges import needs_private_world


@pytest.fixture(autouse=True)
def private_world() -> None:
    needs_private_world()


def calls_by_stream(script: object, network: str = "loopback") -> list[list[str]]:
    session = run_demo(Scenario("test", "A test.", script, network=network, outcomes=None))  # type: ignore[arg-type]
    found = session.vantages[0].inspected().connections
    return [[f"{call.end} {call.name}" for call in calls_of(one, session.calls, found)] for one in found]


def two_at_once(bench: Bench) -> None:
    listener = bench.server.listen()
    first, second = bench.client.connect(listener), bench.client.connect(listener)
    served_first, served_second = listener.accept(), listener.accept()
    second.send(b"2")
    served_second.recv()
    first.close()
    served_first.recv()
    bench.pause()


def test_connections_at_once_have_their_own_calls() -> None:
    opened = ["server bind", "server listen", "client connect", "server accept"]
    assert calls_by_stream(two_at_once) == [
        [*opened, "client close", "server recv"],
        [*opened, "client send", "server recv"],
    ]


def one_pair_twice(bench: Bench) -> None:
    listener = bench.server.listen()
    for last in (False, True):
        client = bench.client.bound(4567, reuse=True)
        client.connect(listener.address)
        server = listener.accept()
        if last:
            client.send(b"again")
            server.recv()
        else:
            client.reset()
            with failing("ECONNRESET"):
                server.recv()
            server.close()
    bench.pause()


def test_a_pair_that_is_used_again_has_new_calls() -> None:
    listening = ["server bind", "server listen"]
    opened = ["client setsockopt", "client bind", "client connect", "server accept"]
    first, second = calls_by_stream(one_pair_twice)
    assert first == [*listening, *opened, "client setsockopt", "client close", "server recv", "server close"]
    assert second == [*listening, *opened, "client send", "server recv"]


def refused(bench: Bench) -> None:
    holder = bench.server.bound()
    with failing("ECONNREFUSED"):
        bench.client.connect(holder)
    bench.server.stage.ready(holder.address)


def test_a_refused_call_has_a_place() -> None:
    assert calls_by_stream(refused) == [["server bind", "client connect"]]


@pytest.mark.parametrize("vantage", [0, 1])
def test_in_a_simultaneous_open_the_calls_of_who_was_seen_first_stand_on_the_left(vantage: int) -> None:
    session = run_demo("simultaneous-open", place="private")
    found = session.vantages[vantage].inspected().connections
    calls = calls_of(found[0], session.calls, found)
    assert len(calls) == len(session.calls)
    connecting = [call for call in calls if call.name == "connect"]
    assert {call.local for call in connecting if call.end == "client"} == {str(found[0].originator)}
    assert {call.local for call in connecting if call.end == "server"} == {str(found[0].responder)}
