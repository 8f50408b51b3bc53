"""One session of the lab: capture first, then the two programs, until the kernel has finished closing.

In: a scenario. Out: a `DemoSession`: the frames as they were on the wire, the socket calls of both programs on the
same clock, and how many frames the kernel dropped. The capture is open before a program starts, so the first SYN is
in it; it ends when no socket of the server's port is left in the kernel but those in TIME-WAIT (or after
CLOSING_LIMIT_S), so the last ACK is in it too.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import CaptureError, RawFrame, Records
from handshake_inspect.lab.calls import Address, End, SocketCall
from handshake_inspect.lab.echo import EchoPlan, Stage
from handshake_inspect.lab.programs import run_programs
from handshake_inspect.lab.router import INTERFACE, enter, three_hosts
from handshake_inspect.lab.scenarios import Scenario, scenario_named
from handshake_inspect.lab.world import LabError, WorldError, in_private_world

#: Where a session runs: in a network of its own, on this host's loopback, or the first of them that is possible.
Place = Literal["auto", "private", "host"]

#: How long to wait, after both programs have ended, for the kernel to finish the closing.
CLOSING_LIMIT_S = 0.5

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
#: Socket states in /proc/net/tcp that owe nothing to anybody (<net/tcp_states.h>): TIME_WAIT and LISTEN.
QUIET_STATES = {"06", "0A"}


@dataclass(frozen=True)
class DemoSession:
    """What one run of a scenario was."""

    scenario: Scenario
    #: Every frame to or from the server's port, in capture order, each once.
    frames: list[RawFrame]
    #: The socket calls of both programs by `entered_ns`, on the clock of the frames.
    calls: list[SocketCall]
    server: Address
    interface: str
    link_type: int
    #: Frames that the kernel could not queue; 0 unless the machine is very busy.
    dropped: int
    #: "private", "host" or "recorded".
    place: str


def run_demo(
    scenario: str | Scenario = "four-way",
    *,
    message: bytes | None = None,
    close_first: End | None = None,
    half_close: bool | None = None,
    ipv6: bool | None = None,
    port: int | None = None,
    pause_s: float | None = None,
    place: Place = "auto",
) -> DemoSession:
    """Run a scenario with real sockets and return what was captured and called.

    Options that are not None change the scenario's plan. `place` "auto" takes a private network (as root a network
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
    if given:  # what the scenario promises of its own plan need not hold for another
        chosen = replace(chosen, plan=replace(chosen.plan, **given), verdict=None, closing=None)
    if chosen.routed and chosen.plan.ipv6:
        raise LabError(f"{chosen.name}: the network with a router has IPv4 only")
    if place == "host":
        return run_session(chosen, "host")
    try:
        return in_private_world(run_session, chosen, "private")
    except WorldError as forbidden:
        if place == "private" or chosen.routed:
            raise
        try:
            return run_session(chosen, "host")
        except CaptureError as error:
            raise WorldError(f"{forbidden}; and on this host's own loopback: {error}") from error


def run_session(scenario: Scenario, place: str, interface: str = "lo") -> DemoSession:
    """Run a scenario in the network this process is in; with a router in it if the scenario needs one."""
    if not scenario.routed:
        return capture_session(scenario, place, interface)
    if place == "host":
        raise WorldError(f"{scenario.name}: the network with a router must be a private one")
    with three_hosts() as server_host:

        def server(plan: EchoPlan, stage: Stage) -> None:
            enter(server_host)
            scenario.server(plan, stage)

        session = capture_session(replace(scenario, server=server), place, INTERFACE)
    return replace(session, scenario=scenario)


def capture_session(scenario: Scenario, place: str, interface: str) -> DemoSession:
    """Capture at `interface` while both programs run."""
    frames: list[RawFrame] = []
    with LiveCapture(interface) as capture:

        def keep() -> None:
            for block in capture.drain():
                frames.extend(raw_frames(block))

        account = run_programs(scenario.server, scenario.client, scenario.plan, meanwhile=keep)
        assert account.server is not None
        wait_until_closed(account.server[1])
        keep()
        return DemoSession(
            scenario=scenario,
            frames=[frame for frame in frames if concerns_port(frame.octets, account.server[1])],
            calls=account.calls,
            server=account.server,
            interface=interface,
            link_type=capture.link_type,
            dropped=capture.dropped,
            place=place,
        )


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


def wait_until_closed(port: int) -> None:
    """Wait until the kernel holds no TCP socket of `port` but in LISTEN or TIME-WAIT, CLOSING_LIMIT_S at most."""
    deadline = time.monotonic() + CLOSING_LIMIT_S
    while time.monotonic() < deadline and any(is_closing(port, table) for table in ("tcp", "tcp6")):
        time.sleep(0.005)


def is_closing(port: int, table: str) -> bool:
    """Tell whether /proc/net/`table` has a socket of `port` that may still send or await a segment."""
    try:
        lines = Path("/proc/self/net", table).read_text().splitlines()[1:]
    except OSError:  # no IPv6 in this kernel
        return False
    wanted = f":{port:04X}"
    for line in lines:
        _, local, remote, state, *_ = line.split()
        if (local.endswith(wanted) or remote.endswith(wanted)) and state not in QUIET_STATES:
            return True
    return False


def concerns_port(frame: bytes, port: int) -> bool:
    """Tell whether an Ethernet frame is of `port`: TCP, UDP, or an ICMP error that quotes one."""
    found = transport_of(frame)
    if found is None:
        return False
    _, header = found
    return len(header) >= 4 and port in struct.unpack_from("!HH", header)


def transport_of(frame: bytes) -> tuple[int, bytes] | None:
    """Return the protocol, TCP or UDP, and its header with what follows; of an ICMP error, those that it quotes.

    Enough for the frames of a session of ours on loopback; `capture.decode` reads everything else.
    """
    if len(frame) < 14:
        return None
    (ethertype,) = struct.unpack_from("!H", frame, 12)
    return transport_in_packet(frame[14:]) if ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6) else None


def transport_in_packet(packet: bytes, *, quoted: bool = False) -> tuple[int, bytes] | None:
    """The same for an IP packet without extension headers."""
    if len(packet) < 20:
        return None
    if packet[0] >> 4 == 4:
        protocol, rest = packet[9], packet[(packet[0] & 15) * 4 :]
    else:
        protocol, rest = packet[6], packet[40:]
    if protocol in (TCP, UDP):
        return protocol, rest
    if protocol in (ICMP, ICMPV6) and not quoted and len(rest) > 8:
        return transport_in_packet(rest[8:], quoted=True)
    return None
