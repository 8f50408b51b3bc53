"""The ground of a session: the network that a scenario needs, set up inside the one this process is in.

In: a scenario, and the `RunOptions` it is to be run with. Out: a `Ground` as long as the context lasts: addresses,
hosts, the wire if there is one, and the vantage points.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from handshake_inspect.lab.kernel.account import address_of_its_own
from handshake_inspect.lab.router import INTERFACE, three_hosts
from handshake_inspect.lab.scenarios.scenario import Scenario
from handshake_inspect.lab.wire import INTERFACES, InEffect, Wire, address_behind_nat, addresses, two_hosts
from handshake_inspect.lab.world import WorldError

#: What a network that needs several hosts is called.
NETWORKS = {"router": "network with a router", "wire": "wire between two hosts"}


@dataclass(frozen=True)
class RunOptions:
    """How a scenario is to be run."""

    #: Rules of the wire besides those of the scenario (`rules`).
    rules: tuple[str, ...] = ()
    #: Have the kernel's own account noted.
    verify: bool = False
    #: In a network of its own, of which settings may be changed; else on this host's loopback.
    is_private: bool = True


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
    #: Those of `RunOptions.rules`.
    rules: tuple[InEffect, ...] = ()

    @property
    def idle_rules(self) -> tuple[str, ...]:
        """The rules that have taken no segment so far."""
        return tuple(rule.text for rule in self.rules if not rule.count())

    @property
    def translated(self) -> dict[str, str]:
        """The address that a NAT may put in the place of the client's on the wire, and whose it is."""
        return {} if self.wire is None else {address_behind_nat(self.client): self.client}

    @property
    def hosts(self) -> tuple[int | None, ...]:
        """Every host with sockets of the session."""
        return (None,) if self.server_host is None else (None, self.server_host)


@contextmanager
def ground_for(scenario: Scenario, how: RunOptions) -> Iterator[Ground]:
    """Set up the network that a scenario needs. Raises LabError.

    A server has an address of its own where the kernel is asked, whose account tells of all networks of the machine.
    IPv6 has but one address of loopback; there ports have to do.
    """
    if scenario.network != "loopback" and not how.is_private:
        raise WorldError(f"{scenario.name}: the {NETWORKS[scenario.network]} must be a private one")
    if scenario.network == "router":
        with three_hosts() as server_host:
            yield Ground("", scenario.plan.host, (("client", INTERFACE, None),), server_host)
    elif scenario.network == "wire":
        client, server = addresses(of_its_own=how.verify)
        with two_hosts(client, server) as (server_host, wire):
            rules = tuple(wire.rule(rule) for rule in how.rules)
            taps = (("client", INTERFACES["client"], None), ("server", INTERFACES["server"], server_host))
            yield Ground(client, server, taps, server_host, wire, rules)
    else:
        host = scenario.plan.host
        if host == "127.0.0.1" and how.verify:
            host = address_of_its_own()
        yield Ground(host, host, (("loopback", "lo", None),))
