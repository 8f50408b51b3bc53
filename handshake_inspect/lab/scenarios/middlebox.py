"""A box in the middle of the wire changes what passes: each end sees another handshake than the other end sent.

Neither end notices. Only two captures, one from each end, show what was changed; one alone shows signs.
RFC 9293 §3.7.1 (MSS), RFC 7323 §3.2 (timestamps), RFC 6528 (initial sequence numbers).
"""

from __future__ import annotations

from dataclasses import replace

from handshake_inspect.lab.bench import Bench
from handshake_inspect.lab.links import add_address
from handshake_inspect.lab.scenarios.scenario import FOUR_WAY, Chapter, Verdict
from handshake_inspect.lab.wire import INTERFACES, address_behind_nat

CLAMPED_MSS = 1200
#: What is added to the client's numbers.
SHIFT = 1_000_000_000
#: Where a proxy's segments start, and those of a host that is three routers away from one that starts at 64.
PROXY_TTL, FAR_TTL = 255, 61
#: Behind one router.
NEXT_TTL = 63
#: From one end of the long way to the other.
LONG_WAY_MS = 20

CHAPTER = Chapter("A middlebox on the wire")


def with_options(originator: tuple[str, object], responder: tuple[str, object]) -> Verdict:
    """Return an ordinary session in whose handshake each end had an option of this value."""
    ends = {"originator": originator, "responder": responder}
    return replace(FOUR_WAY, also={f"handshake.options.{end}.{name}": value for end, (name, value) in ends.items()})


def talk_through(bench: Bench, *rules: str) -> None:
    """Have an ordinary session through a box with these rules."""
    for rule in rules:
        bench.wire.rule(rule)
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "mss-clamped",
    with_options(("mss", 1460), ("mss", CLAMPED_MSS)),
    server_outcomes=(with_options(("mss", CLAMPED_MSS), ("mss", 1460)),),
    look_for=(
        "Each end said 1460 and hears 1200 of the other: compare both ends of the wire. Routers in front of a tunnel "
        "do so, because the ICMP errors that would tell of its smaller MTU are often lost on the way."
    ),
)
def mss_clamped(bench: Bench) -> None:
    """A router lowers the MSS in the SYN and in the SYN-ACK to 1200, so that segments fit into its tunnel."""
    talk_through(
        bench,
        f"clamp MSS to {CLAMPED_MSS} on every SYN from client",
        f"clamp MSS to {CLAMPED_MSS} on every SYN-ACK from server",
    )


@CHAPTER.script(
    "timestamps-stripped",
    with_options(("timestamps", True), ("timestamps", False)),
    server_outcomes=(with_options(("timestamps", False), ("timestamps", False)),),
    look_for=(
        "At the client's end it looks as if the server had declined; at the server's end (--at server) nobody has "
        "offered. Both kernels would have liked timestamps."
    ),
)
def timestamps_stripped(bench: Bench) -> None:
    """A firewall takes the timestamps out of the client's SYN, so the server does not offer any."""
    talk_through(bench, "strip timestamps on every SYN from client")


@CHAPTER.script(
    "timestamps-dropped",
    with_options(("timestamps", True), ("timestamps", True)),
    seen_at="server",
    look_for=(
        "Both SYNs have timestamps, so every later segment must have them (RFC 7323 §3.2); seen at the server, the "
        "client's have none. A receiver may drop such segments; Linux takes them."
    ),
)
def timestamps_dropped(bench: Bench) -> None:
    """A firewall leaves the timestamps of the handshake alone and takes them out of all that the client sends later."""
    talk_through(bench, *(f"strip timestamps on every {kind} from client" for kind in ("ACK", "data", "FIN")))


@CHAPTER.script(
    "isn-rewritten",
    FOUR_WAY,
    look_for=(
        f"The client's numbers are {SHIFT:,} higher at the server's end (--at server --numbers absolute): a firewall "
        "that does not trust hosts to choose them unpredictably (RFC 6528) adds to each number one way and subtracts "
        "from each acknowledgment on the way back. In one capture alone nothing shows it."
    ),
)
def isn_rewritten(bench: Bench) -> None:
    """A firewall gives the client another initial sequence number: it shifts the numbers of both directions."""
    talk_through(
        bench,
        f"shift seq by {SHIFT} on every segment from client",
        f"shift ack by {-SHIFT} on every segment from server",
    )


@CHAPTER.script(
    "nat",
    FOUR_WAY,
    look_for=(
        "The client's address is another at the server's end (--at server), the port happens to be the same, and so "
        "are all numbers: by these the two captures can be joined. A TTL of 63 says that a router was on the way, not "
        "that it translated."
    ),
)
def nat(bench: Bench) -> None:
    """A router translates the client's address: the server talks to the router's, and knows no other."""
    outside = address_behind_nat(bench.client.ip)
    with bench.client.inside():
        add_address(f"{INTERFACES['client']}:nat", outside)  # so that somebody answers to it (ARP)
    talk_through(
        bench,
        f"set source to {outside} on every segment from client",
        f"set destination to {bench.client.ip} on every segment from server",
        *(f"set TTL to {NEXT_TTL} on every segment from {end}" for end in ("client", "server")),
    )


@CHAPTER.script(
    "syn-ack-other-ttl",
    FOUR_WAY,
    look_for=(
        "The TTL of the SYN,ACK (`show --dissect`) is 255, that of every later segment of the server is 64: two "
        "systems speak under one address. A SYN proxy does so, which answers first and asks the server only after the "
        "third segment (RFC 4987 §3.7)."
    ),
)
def syn_ack_other_ttl(bench: Bench) -> None:
    """The SYN-ACK comes with another TTL than the server's later segments, as that of a SYN proxy does."""
    talk_through(bench, f"set TTL to {PROXY_TTL} on first SYN-ACK from server")


@CHAPTER.script(
    "far-apart",
    FOUR_WAY,
    look_for=(
        "At the client's end the SYN,ACK comes 40 ms after the SYN, and the third segment at once; at the server's end "
        "(--at server) the other way round. The TTL of the far end is 61, that of the near one 64: so one capture "
        "tells where it was taken."
    ),
)
def far_apart(bench: Bench) -> None:
    """The two ends are three routers and 20 ms apart: each capture is near one of them."""
    ends = ("client", "server")
    talk_through(
        bench,
        *(f"set TTL to {FAR_TTL} on every segment from {end}" for end in ends),
        *(f"delay every segment from {end} by {LONG_WAY_MS} ms" for end in ends),
    )


@CHAPTER.script(
    "ttl-changed",
    FOUR_WAY,
    seen_at="server",
    look_for=(
        "Seen at the server, the client's SYN and third segment have a TTL of 255, all that follows one of 64: a load "
        "balancer that has opened the connection itself and handed it on looks so, or somebody who injects segments."
    ),
)
def ttl_changed(bench: Bench) -> None:
    """The client's handshake comes with another TTL than all that it sends later, as of a proxy that hands it on."""
    talk_through(bench, f"set TTL to {PROXY_TTL} on first 2 segment from client")


@CHAPTER.script(
    "path-changed",
    FOUR_WAY,
    look_for=(
        f"The TTL of the SYN,ACK is {NEXT_TTL}, that of the server's later segments {FAR_TTL}: both began at 64, and "
        "the later ones passed two routers more. The way has changed; the machine has not."
    ),
)
def path_changed(bench: Bench) -> None:
    """After the SYN-ACK the server's segments take another way, with two routers more on it."""
    talk_through(
        bench,
        f"set TTL to {FAR_TTL} on every segment from server",
        f"set TTL to {NEXT_TTL} on first SYN-ACK from server",
    )
