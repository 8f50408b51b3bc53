"""A scenario of which nothing can be captured: an echo over a Unix socket. It is shown, and not recorded."""

from __future__ import annotations

import os
import socket
import tempfile

from handshake_inspect.lab.bench import Bench, Host
from handshake_inspect.lab.calls import RecordedSocket
from handshake_inspect.lab.scenarios.scenario import Scenario
from handshake_inspect.lab.world import LabError

#: Relative to a folder that is there only meanwhile.
PATH = "echo.sock"


def echo_over_unix(bench: Bench) -> None:
    """Have an echo over a Unix socket, while loopback is captured."""
    if not bench.client.is_private:
        raise LabError(
            "unix: others talk on this host's loopback too; that nothing is there shows a private network only"
        )
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # and not back: the folder where somebody tries this may be gone
        listener = open_unix(bench.server)
        listener.bind(PATH)
        listener.listen(5)
        bench.server.stage.ready((PATH, 0))
        client = open_unix(bench.client)
        client.connect(PATH)
        server = listener.accept()
        bench.echo(client, server)
        client.close()
        server.recv()
        server.close()
        listener.close()
    bench.pause()


def open_unix(host: Host) -> RecordedSocket:
    """Open a stream socket of the family AF_UNIX."""
    return RecordedSocket(host.end, host.stage, real=socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))


UNIX = Scenario(
    "unix",
    "An echo over a Unix socket: the same calls as over TCP, and nothing on any wire.",
    echo_over_unix,
    look_for="Where are SYN, FIN and RST? There are none: no frame was captured while all of this happened.",
)
