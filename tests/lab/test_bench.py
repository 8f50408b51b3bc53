"""What a script works with: sockets that nobody forgets, copies that the wire keeps, and what the kernel holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from handshake_inspect.lab import bench as bench_module
from handshake_inspect.lab.bench import Bench
from handshake_inspect.lab.scenarios.scenario import Scenario
from handshake_inspect.lab.segments import segment_of
from handshake_inspect.lab.session import Session, run_demo
from handshake_inspect.lab.world import KernelLacksError, LabError
from tests.lab.privileges import needs_private_world


@pytest.fixture(autouse=True)
def private_world() -> None:
    needs_private_world()


def run(script: Callable[[Bench], None]) -> Session:
    return run_demo(Scenario("test", "A test.", script, network="wire", outcomes=None))


def kinds(session: Session, vantage: int) -> list[str]:
    segments = [segment_of(frame.octets) for frame in session.vantages[vantage].frames]
    return [segment.kind for segment in segments if segment is not None]


def test_an_accepted_socket_that_its_script_forgot_stays_open() -> None:
    def script(bench: Bench) -> None:
        listener = bench.server.listen()
        bench.client.connect(listener).send(b"bith")
        listener.accept().recv()
        bench.pause()

    session = run(script)
    assert kinds(session, 0) == ["SYN", "SYN-ACK", "ACK", "data", "ACK"]


def test_a_copy_that_the_wire_kept_comes_when_the_script_says_so() -> None:
    def script(bench: Bench) -> None:
        copy = bench.wire.rule("keep first SYN from client")
        _, client, server = bench.session()
        client.send(b"bith")
        server.recv()
        bench.pause()
        copy.release()
        bench.pause()

    session = run(script)
    assert kinds(session, 0).count("SYN") == 1
    assert [kind for kind in kinds(session, 1) if kind in ("SYN", "data")] == ["SYN", "data", "SYN"]


def test_what_the_kernel_holds_is_counted_on_its_own_host() -> None:
    def script(bench: Bench) -> None:
        listener, client, _ = bench.session()
        port = listener.address[1]
        assert bench.server.holds("ESTABLISHED", port) == 1
        assert bench.client.holds("ESTABLISHED", port) == 0
        assert bench.client.holds("ESTABLISHED", client.address[1]) == 1
        assert bench.server.half_open(port) == 0

    session = run(script)
    counts = {call.text: call.result for call in session.calls if call.name == "sock_diag"}
    assert counts == {"sock_diag: SYN-RECEIVED": "0"}


def test_a_script_that_waits_in_vain_says_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "STATE_LIMIT_S", 0.05)

    def script(bench: Bench) -> None:
        bench.server.listen()
        bench.until(lambda: False, "the sky fell")

    with pytest.raises(LabError, match="the script waited in vain until the sky fell"):
        run(script)


def test_a_kernel_that_lacks_a_setting_is_told_from_a_script_that_failed() -> None:
    def script(bench: Bench) -> None:
        bench.server.set("tcp_no_such_setting", 1)

    with pytest.raises(
        KernelLacksError, match=r"no setting net\.ipv4\.tcp_no_such_setting: the scenario needs a newer"
    ):
        run(script)
