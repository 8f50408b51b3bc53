"""One session of the lab: capture first, then whoever performs, until the kernel has finished closing.

In: a scenario. Out: a `Session`: the frames as they were on the wire, at every vantage point, the socket calls of both
ends on the same clock, and how many frames the kernel dropped. The capture is open before anybody opens a socket, so
the first SYN is in it. It ends when two programs have left no socket in the kernel but those in TIME-WAIT (or after
CLOSING_LIMIT_S), so the last ACK is in it too; and with the last line of a script, while its sockets are still open.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import CaptureError, RawFrame, Records, records_of
from handshake_inspect.inspection import Inspection, Inspector
from handshake_inspect.lab.bench import Bench, Host
from handshake_inspect.lab.calls import Address, End, SocketCall
from handshake_inspect.lab.echo import EchoPlan, Stage
from handshake_inspect.lab.hosts import enter, inside
from handshake_inspect.lab.programs import Account, Server, run_programs, running_script
from handshake_inspect.lab.router import INTERFACE, three_hosts
from handshake_inspect.lab.scenarios import scenario_named
from handshake_inspect.lab.scenarios.scenario import Programs, Scenario
from handshake_inspect.lab.segments import ports_of, transport_of
from handshake_inspect.lab.wire import CLIENT, INTERFACES, SERVER, Wire, two_hosts
from handshake_inspect.lab.world import LabError, WorldError, in_private_world

#: Where a session runs: in a network of its own, on this host's loopback, or the first of them that is possible.
Place = Literal["auto", "private", "host"]

#: How long to wait, after both programs have ended, for the kernel to finish the closing.
CLOSING_LIMIT_S = 0.5
#: How long a script may take: the longest waits for the retries of a SYN.
SCRIPT_LIMIT_S = 60.0
#: Socket states in /proc/net/tcp that owe nothing to anybody (<net/tcp_states.h>): TIME_WAIT and LISTEN.
QUIET_STATES = {"06", "0A"}
TABLES = ("tcp", "tcp6")


@dataclass(frozen=True)
class Vantage:
    """What was captured at one place."""

    #: "loopback", or the end at whose interface it is: "client", "server".
    name: str
    interface: str
    link_type: int
    #: Every frame of the session, in capture order, each once.
    frames: list[RawFrame]
    #: Frames that the kernel could not queue; 0 unless the machine is very busy.
    dropped: int

    def inspected(self) -> Inspection:
        """Inspect what was captured here."""
        inspector = Inspector()
        capture = inspector.begin_capture(self.interface, "live")
        inspector.add_records(records_of(self.frames), capture)
        inspector.captures[capture].dropped = self.dropped
        return inspector.result()


@dataclass(frozen=True)
class Session:
    """What one run of a scenario was."""

    scenario: Scenario
    #: The first one sees the client's side.
    vantages: tuple[Vantage, ...]
    #: The socket calls of both ends by `entered_ns`, on the clock of the frames.
    calls: list[SocketCall]
    #: The first address that somebody could connect to.
    server: Address
    #: "private", "host" or "recorded".
    place: str

    @property
    def frames(self) -> list[RawFrame]:
        """The frames at the first vantage point."""
        return self.vantages[0].frames

    @property
    def interface(self) -> str:
        """The interface of the first vantage point."""
        return self.vantages[0].interface

    @property
    def link_type(self) -> int:
        """The link type of the first vantage point."""
        return self.vantages[0].link_type

    @property
    def dropped(self) -> int:
        """Frames dropped at all vantage points."""
        return sum(vantage.dropped for vantage in self.vantages)


def run_demo(
    scenario: str | Scenario = "four-way",
    *,
    message: bytes | None = None,
    close_first: End | None = None,
    half_close: bool | None = None,
    ipv6: bool | None = None,
    port: int | None = None,
    pause_s: float | None = None,
    rules: tuple[str, ...] = (),
    place: Place = "auto",
) -> Session:
    """Run a scenario with real sockets and return what was captured and called.

    Options that are not None change the plan of a scenario of two programs. `rules` are those of a wire (see `rules`),
    on which a scenario of loopback then takes place. `place` "auto" takes a private network (as root a network
    namespace, else a user namespace around one), and where the system forbids that the host's own loopback. Raises
    LabError or CaptureError, each of one line.
    """
    chosen = scenario_named(scenario) if isinstance(scenario, str) else scenario
    changes = {
        "message": message,
        "close_first": close_first,
        "half_close": half_close,
        "ipv6": ipv6,
        "port": port,
        "pause_s": pause_s,
    }
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    chosen = replanned(chosen, given, rules)
    if place == "host":
        return run_session(chosen, "host", rules)
    try:
        return replace(in_private_world(run_there, chosen, rules), scenario=chosen)
    except WorldError as forbidden:
        if place == "private" or chosen.network != "loopback":
            raise
        try:
            return run_session(chosen, "host", rules)
        except CaptureError as error:
            raise WorldError(f"{forbidden}; and on this host's own loopback: {error}") from error


def replanned(scenario: Scenario, given: dict[str, Any], rules: tuple[str, ...]) -> Scenario:
    """Return the scenario with another plan, or on a wire. What it promises of its own plan need not hold then."""
    if given:
        if not isinstance(scenario.performance, Programs):
            names = ", ".join(name.removesuffix("_s").replace("_", "-") for name in given)
            raise LabError(f"{scenario.name} is a script, which has no plan to change ({names}); take four-way")
        plan = replace(scenario.plan, **given)
        scenario = replace(scenario, performance=replace(scenario.performance, plan=plan), outcomes=None, closing=None)
    if rules and scenario.network == "loopback":
        scenario = replace(scenario, network="wire", outcomes=None, closing=None)
    if scenario.network != "loopback" and scenario.plan.ipv6:
        what = "network with a router" if scenario.network == "router" else "wire"
        raise LabError(f"{scenario.name}: the {what} has IPv4 only")
    return scenario


def run_there(scenario: Scenario, rules: tuple[str, ...]) -> Session:
    """Run a scenario in a private network; return its session without the script, which need not be picklable."""
    return replace(run_session(scenario, "private", rules), scenario=replace(scenario, performance=no_script))


def no_script(_: Bench) -> None:
    """Do nothing: stands for a script that stayed on the other side."""


@dataclass(frozen=True)
class Ground:
    """Where a session takes place: addresses, hosts, and where it is captured."""

    client: str
    server: str
    #: Vantage points: name, interface, and the host that has it (None: this process's).
    taps: tuple[tuple[str, str, int | None], ...]
    #: The server's host, if it has one of its own.
    server_host: int | None = None
    wire: Wire | None = None
    is_private: bool = True


@contextmanager
def ground_for(scenario: Scenario, place: str, interface: str) -> Iterator[Ground]:
    """Set up the network that a scenario needs, inside the one this process is in."""
    if place == "host" and scenario.network != "loopback":
        what = "network with a router" if scenario.network == "router" else "wire between two hosts"
        raise WorldError(f"{scenario.name}: the {what} must be a private one")
    if scenario.network == "router":
        with three_hosts() as server_host:
            yield Ground("", scenario.plan.host, (("client", INTERFACE, None),), server_host)
    elif scenario.network == "wire":
        with two_hosts() as (server_host, wire):
            taps = (("client", INTERFACES["client"], None), ("server", INTERFACES["server"], server_host))
            yield Ground(CLIENT, SERVER, taps, server_host, wire)
    else:
        host = scenario.plan.host if place == "private" else own_address(scenario.plan)
        yield Ground(host, host, (("loopback", interface, None),), is_private=place == "private")


def own_address(plan: EchoPlan) -> str:
    """Return an address of loopback that nobody else is likely to use; IPv6 has but one."""
    return plan.host if plan.ipv6 or plan.address else f"127.{random.randint(16, 254)}.{random.randint(1, 254)}.1"


def run_session(scenario: Scenario, place: str, rules: tuple[str, ...] = (), interface: str = "lo") -> Session:
    """Run a scenario in the network this process is in; with hosts and links in it if the scenario needs them."""
    with ground_for(scenario, place, interface) as ground, ExitStack() as captures:
        taps = [Tap(name, captures.enter_context(captured(host, where))) for name, where, host in ground.taps]
        for rule in rules:
            assert ground.wire is not None
            ground.wire.rule(rule)

        def keep() -> None:
            for tap in taps:
                tap.keep()

        with performing(scenario, ground, keep) as account:
            keep()
            ports = {port for _, port in account.servers}
            concerns = of_ports(ports) if isinstance(scenario.performance, Programs) or place == "host" else of_anybody
            return Session(
                scenario=scenario,
                vantages=tuple(tap.vantage(concerns) for tap in taps),
                calls=account.calls,
                server=account.servers[0],
                place=place,
            )


@contextmanager
def captured(host: int | None, interface: str) -> Iterator[LiveCapture]:
    """Capture at an interface of a host."""
    if host is None:
        capture = LiveCapture(interface)
    else:
        with inside(host):
            capture = LiveCapture(interface)
    with capture:
        yield capture


@dataclass
class Tap:
    """An open capture and what it has seen."""

    name: str
    capture: LiveCapture
    frames: list[RawFrame] = field(default_factory=list)

    def keep(self) -> None:
        """Take over what is queued now."""
        for block in self.capture.drain():
            self.frames.extend(raw_frames(block))

    def vantage(self, concerns: Callable[[bytes], bool]) -> Vantage:
        """Return what was seen of the session."""
        frames = [frame for frame in self.frames if concerns(frame.octets)]
        return Vantage(self.name, self.capture.interface, self.capture.link_type, frames, self.capture.dropped)


def of_ports(ports: set[int]) -> Callable[[bytes], bool]:
    """Tell frames of these ports from others, ICMP errors that quote one among them."""
    return lambda frame: not ports.isdisjoint(ports_of(frame))


def of_anybody(frame: bytes) -> bool:
    """Tell frames that carry TCP, UDP or an ICMP error about one from those of ARP."""
    return transport_of(frame) is not None


@contextmanager
def performing(scenario: Scenario, ground: Ground, keep: Callable[[], None]) -> Iterator[Account]:
    """Perform a scenario; the body of the context runs when it is over, and before a script's sockets are closed."""
    if isinstance(scenario.performance, Programs):
        performance, plan = scenario.performance, scenario.plan
        if scenario.network != "router" and ground.server != plan.host:
            plan = replace(plan, address=ground.server)
        account = run_programs(on_host(performance.server, ground), performance.client, plan, meanwhile=keep)
        wait_until_closed(account.servers[0][1], ground.server_host)
        yield account
        return
    script = scenario.performance

    def perform(stage: Stage) -> Bench:
        client = Host("client", ground.client, stage, is_private=ground.is_private)
        server = Host("server", ground.server, stage, ground.server_host, is_private=ground.is_private)
        bench = Bench(client, server, ground.wire)
        script(bench)
        return bench

    with running_script(perform, SCRIPT_LIMIT_S, meanwhile=keep) as account:
        yield account


def on_host(server: Server, ground: Ground) -> Server:
    """Return a program that runs on the server's host."""

    def serve(plan: EchoPlan, stage: Stage) -> None:
        if ground.server_host is not None:
            enter(ground.server_host)
        server(plan, stage)

    return serve


def raw_frames(block: Records) -> list[RawFrame]:
    """Copy the frames out of a block, whose buffer is about to be used again."""
    assert block.packet_type is not None
    return [
        RawFrame(
            octets=block.octets(row),
            original=int(block.original[row]),
            time_ns=int(block.time_ns[row]),
            link_type=int(block.link_type[row]),
            packet_type=int(block.packet_type[row]),
        )
        for row in range(len(block))
    ]


def wait_until_closed(port: int, server_host: int | None = None) -> None:
    """Wait until the kernel holds no TCP socket of `port` but in LISTEN or TIME-WAIT, CLOSING_LIMIT_S at most."""
    deadline = time.monotonic() + CLOSING_LIMIT_S
    tables = [Path("/proc", str(host or "self"), "net", table) for host in {None, server_host} for table in TABLES]
    while time.monotonic() < deadline and any(is_closing(port, table) for table in tables):
        time.sleep(0.005)


def is_closing(port: int, table: Path) -> bool:
    """Tell whether a table of sockets has one of `port` that may still send or await a segment."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:  # no IPv6 in this kernel
        return False
    wanted = f":{port:04X}"
    for line in lines:
        _, local, remote, state, *_ = line.split()
        if (local.endswith(wanted) or remote.endswith(wanted)) and state not in QUIET_STATES:
            return True
    return False
