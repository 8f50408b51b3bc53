"""Early ends of TIME-WAIT, provoked: each while somebody looks."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.bench import Bench
from handshake_inspect.lab.kernel import sock_diag
from handshake_inspect.lab.scenarios.scenario import Network, Scenario, Script

SOCK_DESTROY, NLM_F_ACK = 21, 4
#: When an end is provoked: after the session is over, and before the tests lose patience.
SOON_S = 0.5
SERVER, CLIENT = 8000, 40000


def destroy(local: Endpoint, remote: Endpoint) -> None:
    """Have the kernel drop a socket, as `ss -K` does: CAP_NET_ADMIN in its network is enough."""
    ports = (end.port.to_bytes(2, "big") for end in (local, remote))
    addresses = (socket.inet_aton(end.ip) for end in (local, remote))
    body = sock_diag.REQUEST.pack(
        socket.AF_INET, socket.IPPROTO_TCP, 0, sock_diag.EVERY_STATE, *ports, *addresses, 0, sock_diag.ANY_COOKIE
    )
    header = sock_diag.HEADER.pack(
        sock_diag.HEADER.size + len(body), SOCK_DESTROY, sock_diag.NLM_F_REQUEST | NLM_F_ACK, 0, 0
    )
    with sock_diag.open_diagnosis() as netlink:
        netlink.send(header + body)
        _, content = next(sock_diag.messages(netlink.recv(1 << 16)))
    assert sock_diag.error_number(content) == 0, os.strerror(sock_diag.error_number(content))


def soon(deed: Callable[[], object]) -> None:
    """Do something when the script has come to its end, in its process, whose sockets are still open."""

    def wait_and_do() -> None:
        time.sleep(SOON_S)
        deed()

    threading.Thread(target=wait_and_do, daemon=True).start()


def close_in_turn(bench: Bench, *, closes_first: str = "client") -> tuple[Endpoint, Endpoint]:
    """Open a connection on loopback and close it; return the owner of TIME-WAIT and its peer."""
    listener = bench.server.listen(port=SERVER, reuse=True)
    client = bench.client.bound(CLIENT, reuse=True)
    client.connect(listener.address)
    accepted = listener.accept()
    first, second = (client, accepted) if closes_first == "client" else (accepted, client)
    ends = Endpoint(*first.address), Endpoint(*second.address)
    first.close()
    second.recv()
    second.close()
    bench.pause()
    return ends


def connect_again(bench: Bench) -> None:
    bench.client.bound(CLIENT, reuse=True).connect(("127.0.0.1", SERVER))


def is_destroyed(bench: Bench) -> None:
    owner, peer = close_in_turn(bench)
    soon(lambda: destroy(owner, peer))


def is_reused_by_its_owner(bench: Bench) -> None:
    close_in_turn(bench)
    soon(lambda: connect_again(bench))


def is_reused_by_the_other_end(bench: Bench) -> None:
    close_in_turn(bench, closes_first="server")
    soon(lambda: connect_again(bench))


def is_reset(bench: Bench) -> None:
    _, client, server = bench.session()
    copy = bench.wire.rule("keep first FIN from server")
    bench.close_in_turn(client, server)
    soon(copy.release)


def is_restarted(bench: Bench) -> None:
    """The last ACK is lost: the FIN comes again after some 200 ms, when the script is over."""
    _, client, server = bench.session()
    acknowledged = bench.wire.rule("pass first ACK from server")
    client.close()
    acknowledged.wait()
    server.recv()
    bench.wire.rule("drop first ACK from client")
    server.close()
    time.sleep(0.02)


def has_no_room(bench: Bench) -> None:
    bench.client.set("tcp_max_tw_buckets", 0)
    listener = bench.server.listen(port=SERVER)
    client = bench.client.connect(listener)
    accepted = listener.accept()
    client.shutdown()
    accepted.recv()
    accepted.close()
    client.recv()
    client.close()
    bench.pause()


def is_left_alone(bench: Bench) -> None:
    close_in_turn(bench)


def scenario_of(script: Script) -> Scenario:
    network: Network = "wire" if script in (is_reset, is_restarted) else "loopback"
    return replace(Scenario(script.__name__.replace("_", "-"), "", script, network=network), outcomes=None)
