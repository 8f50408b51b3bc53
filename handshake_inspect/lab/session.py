"""One session of the lab: first the capture, then the performance, until the kernel has finished closing.

In: a scenario. Out: a `Session`: the frames as they were on the wire, at every vantage point, the socket calls of both
ends on the same clock, and how many frames the kernel dropped. The capture is open before anybody opens a socket, so
the first SYN is in it. It ends when two programs have left no socket in the kernel but those in TIME-WAIT (or after
CLOSING_LIMIT_S), so the last ACK is in it too; and with the last line of a script, while its sockets are still open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from handshake_inspect.capture.records import CaptureError, RawFrame
from handshake_inspect.lab.bench import Bench
from handshake_inspect.lab.calls import Address, End, SocketCall
from handshake_inspect.lab.echo import option, unheeded
from handshake_inspect.lab.ground import NETWORKS, Ground, RunOptions, ground_for
from handshake_inspect.lab.kernel.account import KernelAccount, SocketFilter
from handshake_inspect.lab.kernel.watch import watching
from handshake_inspect.lab.performing import performing
from handshake_inspect.lab.plain import PlainTap
from handshake_inspect.lab.scenarios import scenario_named
from handshake_inspect.lab.scenarios.scenario import Programs, Scenario
from handshake_inspect.lab.vantage import Tap, Vantage, captured, of_anybody, of_ports
from handshake_inspect.lab.world import LabError, WorldError, in_private_world_to_its_end

T = TypeVar("T")
#: Where a session runs: in a network of its own, on this host's loopback, or the first of them that is possible.
Place = Literal["auto", "private", "host"]


@dataclass(frozen=True)
class Session:
    """The captures and calls of one run of a scenario."""

    scenario: Scenario
    #: The first one sees the client's side.
    vantages: tuple[Vantage, ...]
    #: The socket calls of both ends by `entered_ns`, on the clock of the frames.
    calls: list[SocketCall]
    #: The first address that somebody could connect to.
    server: Address
    #: "private", "host" or "recorded".
    place: str
    #: What the kernel itself told of the connections, if it was asked.
    kernel: KernelAccount | None = None
    #: Rules besides those of the scenario that took no segment.
    idle_rules: tuple[str, ...] = ()
    #: Ctrl-C came before its end: the frames are those up to then, of its calls nothing is known, nor who served.
    is_broken_off: bool = False

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


class SessionInterrupted(KeyboardInterrupt):
    """Ctrl-C came before a session in a private network had ended; it has what was captured up to then."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session


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
    verify: bool = False,
    place: Place = "auto",
) -> Session:
    """Run a scenario with real sockets and return what was captured and called.

    Options that are not None change the plan of a scenario of two programs. `rules` are those of a wire (see `rules`),
    on which a scenario of loopback then takes place. `verify` has the kernel's own account noted too. `place` "auto"
    takes a private network (as root a network namespace, else a user namespace around one), and where the system
    forbids that the host's own loopback. Raises LabError or CaptureError, each of one line; at Ctrl-C
    SessionInterrupted, a KeyboardInterrupt, if something is known of the session by then.
    """
    changes = {
        "message": message,
        "close_first": close_first,
        "half_close": half_close,
        "ipv6": ipv6,
        "port": port,
        "pause_s": pause_s,
    }
    chosen = planned(scenario, changes, rules)

    def run(how: RunOptions) -> Session:
        if not how.is_private:
            return run_session(chosen, how)
        session = replace(in_private_world_to_its_end(run_there, chosen, how), scenario=chosen)
        if session.is_broken_off:
            raise SessionInterrupted(session) from None
        return session

    return where_possible(run, chosen, RunOptions(rules, verify), place)


def where_possible(run: Callable[[RunOptions], T], scenario: Scenario, how: RunOptions, place: Place) -> T:
    """Run a function in a private network; if the system forbids that, on this host's loopback if that is allowed."""
    on_host = replace(how, is_private=False)
    if place == "host":
        return run_on_host(run, on_host)
    try:
        return run(how)
    except WorldError as forbidden:
        if place == "private" or scenario.network != "loopback":
            raise
        try:
            return run(on_host)
        except CaptureError as error:
            raise WorldError(f"{forbidden}; and on this host's own loopback: {error}") from error


def run_on_host(run: Callable[[RunOptions], T], how: RunOptions) -> T:
    """Run a function on this host's own loopback, as asked for; LabError if this user may not capture there."""
    try:
        return run(how)
    except CaptureError as error:
        if isinstance(error.__cause__, PermissionError):
            needs = "capturing on this host's own loopback needs CAP_NET_RAW: run as root (sudo)"
            raise LabError(f"{needs}, or leave out --host: a private network needs no right") from error
        raise


def planned(scenario: str | Scenario, changes: dict[str, Any], rules: tuple[str, ...]) -> Scenario:
    """Return a scenario with those `changes` of its plan that are not None, and under the rules of a wire."""
    chosen = scenario_named(scenario) if isinstance(scenario, str) else scenario
    return replanned(chosen, {name: value for name, value in changes.items() if value is not None}, rules)


def replanned(scenario: Scenario, given: dict[str, Any], rules: tuple[str, ...]) -> Scenario:
    """Return the scenario with another plan, or on a wire. What it promises of its own plan need not hold then."""
    if rules and not scenario.has_tcp:
        raise LabError(f"{scenario.name}: rules are about TCP segments, and it has none")
    if given:
        if not isinstance(scenario.performance, Programs):
            names = ", ".join(map(option, given))
            raise LabError(f"{scenario.name} is a script, which has no plan to change ({names}); take four-way")
        performance = scenario.performance
        if idle := unheeded(given, performance.server, performance.client):
            raise LabError(f"{scenario.name}: its programs have no use for {', '.join(idle)}; take four-way")
        plan = replace(scenario.plan, **given)
        scenario = replace(scenario, performance=replace(performance, plan=plan), outcomes=None, closing=None)
    if rules and scenario.network == "loopback":
        scenario = replace(scenario, network="wire", outcomes=None, closing=None)
    if scenario.network != "loopback" and scenario.plan.ipv6:
        raise LabError(f"{scenario.name}: the {NETWORKS[scenario.network]} has IPv4 only")
    return scenario


def run_there(scenario: Scenario, how: RunOptions) -> Session:
    """Run a scenario in a private network; return its session as it can be sent from there."""
    try:
        return without_script(run_session(scenario, how))
    except SessionInterrupted as ended:
        return without_script(ended.session)


def without_script(session: Session) -> Session:
    """Return a session without its script, which need not be picklable."""
    return replace(session, scenario=replace(session.scenario, performance=no_script))


def no_script(_: Bench) -> None:
    """Do nothing: takes the place of a script that cannot be pickled."""


@dataclass(frozen=True)
class FinishedSession:
    """A session that is over, while its network and its captures are still there."""

    session: Session
    #: Every host with sockets of the session.
    hosts: tuple[int | None, ...]
    ports: Set[int]
    #: Returns what was captured since the session, or since this was last called, at each vantage point.
    fresh: Callable[[], tuple[Vantage, ...]]


def run_session(
    scenario: Scenario,
    how: RunOptions,
    *,
    stay: Callable[[FinishedSession], object] = lambda _: None,
) -> Session:
    """Run a scenario in the network this process is in; with hosts and links in it if the scenario needs them.

    `stay` is called when the session is over; when it returns, the network is left. Raises SessionInterrupted at
    Ctrl-C in a private network: elsewhere it cannot be told which frames are of the session.
    """
    with ExitStack() as stack:
        ground = stack.enter_context(ground_for(scenario, how))
        concern = SocketFilter(addresses=frozenset({ground.client or ground.server, ground.server}))
        watch = stack.enter_context(watching(concern, ground.hosts)) if how.verify else None
        if scenario.is_seen_twice:
            taps: list[Tap | PlainTap] = [stack.enter_context(PlainTap(name)) for name, _, _ in ground.taps]
        else:
            taps = [Tap(name, stack.enter_context(captured(host, where))) for name, where, host in ground.taps]

        def keep() -> None:
            for tap in taps:
                tap.keep()

        look = watch.look if watch else no_look
        try:
            account = stack.enter_context(performing(scenario, how, ground, keep, look))
        except KeyboardInterrupt:
            if not how.is_private:
                raise
            raise SessionInterrupted(broken_off(scenario, ground, taps)) from None
        ports = {port for _, port in account.servers}
        is_alone = how.is_private and not isinstance(scenario.performance, Programs)

        def fresh() -> tuple[Vantage, ...]:
            keep()
            return tuple(tap.hand_over(of_anybody if is_alone else of_ports(ports)) for tap in taps)

        session = Session(
            scenario=scenario,
            vantages=fresh(),
            calls=account.calls,
            server=account.servers[0],
            place="private" if how.is_private else "host",
            kernel=(
                replace(watch.end().about(SocketFilter(ports=frozenset(ports))), translated=ground.translated)
                if watch
                else None
            ),
            idle_rules=ground.idle_rules,
        )
        stay(FinishedSession(session, ground.hosts, ports, fresh))
        return session


def broken_off(scenario: Scenario, ground: Ground, taps: Sequence[Tap | PlainTap]) -> Session:
    """Return what is known of a session that was interrupted, without how its sockets ended then."""
    vantages = tuple(tap.so_far(of_anybody) for tap in taps)
    return Session(scenario, vantages, [], (ground.server, 0), "private", is_broken_off=True)


def no_look() -> None:
    """Do nothing: the kernel is not asked."""
