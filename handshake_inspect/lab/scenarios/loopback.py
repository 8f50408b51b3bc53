"""What is seen on loopback and on no wire: many segments in one frame (TSO), and each frame twice."""

from __future__ import annotations

import socket
from dataclasses import replace

from handshake_inspect.lab.bench import DELAYED_ACK_S, Bench
from handshake_inspect.lab.scenarios.scenario import FOUR_WAY, Chapter

CHAPTER = Chapter("Only on loopback")

OCTETS = 1 << 19
#: Octets of each send(): less than a frame can hold.
PART_OCTETS = 1 << 16
ETHERNET_MSS_OCTETS = 1448
#: Enough of each frame for all headers and options.
SNAP_OCTETS = 100


@CHAPTER.script(
    "large-transfer",
    replace(
        FOUR_WAY,
        also={
            "sent_octets.originator": OCTETS,
            "missing_octets.originator": 0,
            "handshake.options.originator.mss": ETHERNET_MSS_OCTETS,
        },
    ),
    network="loopback",
    snap_octets=SNAP_OCTETS,
    look_for=(
        "One frame is many segments: up to 64 KiB, though the MSS is 1,448 octets, for the kernel cuts them only for a "
        "real card. The recorded frames are cut after 100 octets; the books count by sequence numbers, and agree."
    ),
)
def large_transfer(bench: Bench) -> None:
    """The client sends 512 KiB over loopback, in frames of up to 64 KiB."""
    listener = bench.server.listen()
    client = bench.client.socket()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, ETHERNET_MSS_OCTETS, f"TCP_MAXSEG, {ETHERNET_MSS_OCTETS}")
    client.connect(listener.address)
    server = listener.accept()
    for _ in range(OCTETS // PART_OCTETS):
        client.send(b"bith" * (PART_OCTETS // 4))
        received = 0
        while received < PART_OCTETS:
            received += len(server.recv(PART_OCTETS))
    client.close()
    server.recv()
    bench.pause(DELAYED_ACK_S)
    server.close()
    bench.pause()


@CHAPTER.script(
    "loopback-twice",
    FOUR_WAY,
    network="loopback",
    is_seen_twice=True,
    look_for=(
        "A frame on loopback leaves and arrives at one interface, and a plain packet socket, as simple sniffers open "
        "it, shows both copies. They are not retransmissions: IP ID and all numbers are equal, and microseconds lie "
        "between them. The ladder has each segment once, and says how many copies there were."
    ),
)
def loopback_twice(bench: Bench) -> None:
    """An ordinary session on loopback, captured by a plain packet socket: each segment is there twice."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    client.close()
    server.recv()
    bench.pause(DELAYED_ACK_S)
    server.close()
    bench.pause()
