"""Somebody tries many doors: many ports of one host, or one port of many hosts (RFC 9293 §3.5.2: what answers)."""

from __future__ import annotations

from handshake_inspect.lab.bench import Bench, failing
from handshake_inspect.lab.links import add_address
from handshake_inspect.lab.scenarios.scenario import OPENED_ACTIVELY, OPENED_PASSIVELY, Chapter, Verdict
from handshake_inspect.lab.wire import INTERFACES

#: The ports that are tried, and the only one at which somebody listens.
PORTS, OPEN_PORT = range(20, 50), 22
#: How many hosts are tried, how many of them answer at all, and which one opens.
HOSTS, ANSWERING, OPEN_HOST = 20, 10, 3

REFUSED = Verdict("refused", "none", None, ("CLOSED", "SYN-SENT", "CLOSED"), ("CLOSED",))
UNANSWERED = Verdict("unanswered", "none", None, ("CLOSED", "SYN-SENT"), None)
TAPPED = Verdict(
    "three-way",
    "aborted",
    None,
    (*OPENED_ACTIVELY, "CLOSED"),
    (*OPENED_PASSIVELY, "CLOSED"),
    {"teardown.reset_by": "originator"},
)

CHAPTER = Chapter("Scans")


def reset_by_scanner(bench: Bench, address: tuple[str, int]) -> None:
    """Open a connection only to know that it can be opened."""
    reset = bench.wire.rule("pass first RST from client")
    bench.client.connect(address).reset()
    reset.wait()


@CHAPTER.script(
    "port-scan",
    tuple(TAPPED if port == OPEN_PORT else REFUSED for port in PORTS),
    look_for=(
        f"{len(PORTS)} ports of one host in order, within milliseconds. One opens, and is reset at once: whoever it "
        "was only wanted to know. The RSTs of the others say closed, not filtered: a filter would be silent."
    ),
)
def port_scan(bench: Bench) -> None:
    """One client tries 30 ports of a host, one after another: one is open, the others refuse."""
    bench.server.listen(port=OPEN_PORT)
    for port in PORTS:
        address = (bench.server.ip, port)
        if port == OPEN_PORT:
            reset_by_scanner(bench, address)
            continue
        bench.server.stage.ready(address)
        with failing("ECONNREFUSED"):
            bench.client.connect(address)
    bench.pause()


@CHAPTER.script(
    "address-sweep",
    (
        *(TAPPED if host == OPEN_HOST else REFUSED for host in range(ANSWERING)),
        *[UNANSWERED] * (HOSTS - ANSWERING),
    ),
    server_outcomes=(tuple(TAPPED if host == OPEN_HOST else REFUSED for host in range(ANSWERING)),),
    look_for=(
        f"One port of {HOSTS} addresses in order. Three answers: SYN,ACK, there is a server; RST, there is a host; "
        "none, there is nothing, or a filter."
    ),
)
def address_sweep(bench: Bench) -> None:
    """One client tries the same port of 20 addresses: one is open, nine refuse, ten do not answer."""
    network = bench.server.ip.rpartition(".")[0]
    taken = {bench.client.ip, bench.server.ip}
    targets = [f"{network}.{n}" for n in range(1, HOSTS + 3) if f"{network}.{n}" not in taken][:HOSTS]
    with bench.server.inside():
        for number, target in enumerate(targets):
            add_address(f"{INTERFACES['server']}:{number}", target)
    listener = bench.server.socket()
    listener.bind((targets[OPEN_HOST], OPEN_PORT))
    listener.listen(5)
    bench.server.stage.ready(listener.address)
    for number, target in enumerate(targets[:ANSWERING]):
        if number == OPEN_HOST:
            reset_by_scanner(bench, (target, OPEN_PORT))
            continue
        with failing("ECONNREFUSED"):
            bench.client.connect((target, OPEN_PORT))
    filtered = bench.wire.rule("drop every SYN from client")
    for target in targets[ANSWERING:]:
        bench.client.bound().connect_start((target, OPEN_PORT))
    filtered.wait(HOSTS - ANSWERING)
    bench.pause()
