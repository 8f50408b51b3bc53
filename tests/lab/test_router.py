"""Real ICMP errors of a real kernel that routes between two others, read as they come and from a file."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.connections.connection import Connection
from handshake_inspect.inspector import inspect
from handshake_inspect.lab.router import NOWHERE, ROUTER_TO_CLIENT, SMALL_MTU
from handshake_inspect.lab.session import Session, run_demo
from handshake_inspect.lab.world import LabError, WorldError, in_private_world
from tests.lab.privileges import as_ordinary_user, children, needs_private_world


@pytest.fixture(autouse=True)
def private_world() -> None:
    needs_private_world()


def connection_of(session: Session, folder: Path) -> Connection:
    path = folder / "session.pcap"
    write_pcap(path, session.frames, session.link_type)
    found = inspect(path)
    assert found.unmatched_icmp_errors == 0
    (one,) = inspect(path, reader="scapy").connections
    assert [one] == list(found.connections)
    return one


def test_a_router_without_a_route_makes_a_syn_unreachable(tmp_path: Path) -> None:
    before = children()
    session = as_ordinary_user(lambda: run_demo("unreachable"))
    assert children() == before
    one = connection_of(session, tmp_path)
    assert one.handshake.kind == "unreachable"
    (error,) = one.icmp_errors
    assert (error.source, error.message, error.kind) == (ROUTER_TO_CLIENT, "network unreachable", "soft")
    assert (error.flags, error.answers_syn, error.was_sent) == ("SYN", True, True)
    assert [str(call) for call in session.calls if call.name == "connect"] == [f"connect({NOWHERE}:80) = ENETUNREACH"]


def test_a_router_with_a_small_link_tells_its_mtu(tmp_path: Path) -> None:
    one = connection_of(run_demo("path-mtu"), tmp_path)
    assert (one.handshake.kind, one.teardown.kind) == ("three-way", "four-way")
    (error,) = one.icmp_errors
    assert (error.source, error.message, error.mtu) == (ROUTER_TO_CLIENT, "fragmentation needed", SMALL_MTU)
    assert (error.quotes, error.relative_seq, error.flags) == ("originator", 1, "PSH,ACK")
    assert one.octets.originator == 2 * 1300
    assert one.missing_octets.originator == 0


def test_what_a_network_with_a_router_cannot_do_is_said_in_one_line() -> None:
    with pytest.raises(LabError, match=r"^unreachable: the network with a router has IPv4 only$"):
        run_demo("unreachable", ipv6=True)
    with pytest.raises(WorldError, match=r"^path-mtu: the network with a router must be a private one$"):
        run_demo("path-mtu", place="host")


def without_router(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("handshake_inspect.lab.links.IFLA_INFO_KIND", 99)
    with pytest.raises(LabError) as said:
        run_demo("unreachable", place="private")
    return str(said.value)


def test_a_kernel_that_cannot_make_the_links_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = children()
    said = without_router(monkeypatch)
    assert said.startswith("a network with a router cannot be made here ([Errno ")
    assert "\n" not in said
    assert children() == before


def sniffed_while_unreachable(port: int | None, count: int | None) -> tuple[str, bytes, int]:
    """Watch the client's interface while it asks; return what was printed, what was saved, and segments shown."""
    import contextlib
    import tempfile

    from handshake_inspect.capture.live import LiveCapture
    from handshake_inspect.capture.writing.pcap import PcapWriter
    from handshake_inspect.cli.captures import Interruption
    from handshake_inspect.cli.watch import Watch, WatchRequest, blocks_of
    from handshake_inspect.lab.programs import run_programs
    from handshake_inspect.lab.router import INTERFACE, three_hosts
    from handshake_inspect.lab.scenarios import SCENARIOS
    from handshake_inspect.lab.scenarios.scenario import Programs

    scenario, out = SCENARIOS["unreachable"], io.StringIO()
    with three_hosts(), LiveCapture(INTERFACE) as capture, tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "seen.pcap"
        with PcapWriter(str(target), capture.link_type) as writer, contextlib.redirect_stdout(out):
            watch = Watch(capture, WatchRequest(port=port, count=count), writer)
            with Interruption() as interruption:
                look = lambda: watch.follow(blocks_of(capture, interruption, 0.01))  # noqa: E731
                assert isinstance(scenario.performance, Programs)
                run_programs(scenario.performance.server, scenario.performance.client, scenario.plan, meanwhile=look)
                watch.follow(blocks_of(capture, interruption, 0.2))
        return out.getvalue(), target.read_bytes(), watch.seen


@pytest.mark.parametrize(("port", "printed"), [(None, True), (80, True), (81, False)])
def test_sniff_prints_and_saves_an_error_about_a_watched_connection(port: int | None, printed: bool) -> None:
    out, saved, shown = in_private_world(sniffed_while_unreachable, port, None)
    lines = [line for line in out.splitlines() if "ICMP" in line]
    assert len(lines) == printed
    assert shown == printed  # segments only
    if printed:
        said = " ".join(out.split())
        assert re.search(r"← (203\.0\.113\.7:80 )?ICMP network unreachable, from", said)  # the peer, if there is room
        assert f"from {ROUTER_TO_CLIENT}, quotes SYN seq=x" in said
        assert [one.handshake.kind for one in inspect(io.BytesIO(saved)).connections] == ["unreachable"]


def test_sniff_ends_after_so_many_segments_whatever_errors_come() -> None:
    out, _, shown = in_private_world(sniffed_while_unreachable, None, 1)
    assert (shown, out.count("SYN seq=x")) == (1, out.count("seq=x"))
