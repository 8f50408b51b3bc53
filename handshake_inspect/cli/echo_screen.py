"""The output of the programs by hand: each socket call for a person, and the results for a script.

In: socket calls and remarks, from several threads at once. Out: on standard error a line per call, `+0.123 s  accept()
= 127.0.0.1:54668`, with the peer before it where there are several; on standard output the results. Text that came over
a socket reaches a terminal escaped, and a pipe as it was.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TextIO

import click
from rich.text import Text

from handshake_inspect.cli.output import write_line
from handshake_inspect.lab.by_hand.echo_plans import Lines
from handshake_inspect.lab.calls import SocketAddress, SocketCall, spell_address
from handshake_inspect.views.escape import printable

#: How wide the address of a peer is made, so that calls stand below each other: "127.0.0.1:54668".
PEER = 15


@dataclass
class Output:
    """The output that all screens of one program share: one line at a time, and none after the end."""

    quiet: bool
    began_ns: int = field(default_factory=time.time_ns)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class EchoScreen:
    """The terminal of one program."""

    output: Output
    #: Of whom the calls are, where there are several.
    peer: str = ""
    #: What a person types elsewhere once the server is ready; {} stands for its address.
    invitation: str = ""

    def beside(self, peer: str) -> EchoScreen:
        """Return the screen for what concerns one peer."""
        return replace(self, peer=peer)

    def note(self, call: SocketCall) -> None:
        """Print a call and when it returned."""
        failed = call.result[:1] == "E" or call.result.startswith("timed out")
        line = Text(f"{self._when(call.returned_ns)}  ").append_text(self._whose())
        line.append(printable(f"{call.text} = "), "blue").append(
            printable(call.result), "red" if failed else "bold blue"
        )
        self._print(line)

    def say(self, text: str) -> None:
        """Print the meaning of the call before it."""
        indent = " " * (len(self._when(time.time_ns())) + 2)
        self._print(Text(indent).append_text(self._whose()).append(f"└ {printable(text)}", "dim italic"))

    def ready(self, address: SocketAddress) -> None:
        """Print where the server is, for people and for scripts, and what to type in the other terminal."""
        spelled = spell_address(address)
        with self.output.lock:
            print(f"listening on {printable(spelled)}", flush=True)
        for line in self.invitation.format(shlex.quote(reachable(spelled))).splitlines():
            self._print(Text(printable(line), "green"))

    def heard(self, octets: bytes) -> None:
        """Print an echo as a line of the result."""
        with self.output.lock:
            write_octets(octets + b"\n")

    def result(self, text: str) -> None:
        """Print a line of the result."""
        with self.output.lock:
            write_octets(text.encode("utf-8", "surrogateescape") + b"\n")

    def prompt(self) -> None:
        """Ask a person to type."""
        with self.output.lock:
            sys.stdout.flush()
            sys.stderr.write("> ")
            sys.stderr.flush()

    def end(self) -> None:
        """Print nothing more, though threads may still run."""
        with self.output.lock:
            self.output.quiet = True

    def _when(self, time_ns: int) -> str:
        return f"+{(time_ns - self.output.began_ns) / 1e9:.3f} s"

    def _whose(self) -> Text:
        return Text(f"{printable(self.peer):{PEER}}  " if self.peer else "", "cyan")

    def _print(self, line: Text) -> None:
        with self.output.lock:
            if not self.output.quiet:
                wipe_prompt(sys.stderr)
                write_line(line, sys.stderr)


def end_by_signals() -> None:
    """Let Ctrl-C and SIGTERM raise KeyboardInterrupt: a shell starts a command with `&` so that it ignores Ctrl-C."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def wipe_prompt(stream: TextIO) -> None:
    """Clear the terminal's line of a prompt or a ^C."""
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        stream.write("\r\x1b[K")


def reachable(spelled: str) -> str:
    """Return the address for a client of a server that listens on every address: this host's loopback."""
    host, _, port = spelled.rpartition(":")
    return {"0.0.0.0": f"127.0.0.1:{port}", "[::]": f"[::1]:{port}"}.get(host, spelled)


def write_octets(octets: bytes) -> None:
    """Write octets from outside to standard output; for a terminal, without control characters."""
    if sys.stdout.isatty():
        wipe_prompt(sys.stdout)
        text = octets.removesuffix(b"\n").decode("utf-8", "backslashreplace")
        sys.stdout.write(f"{printable(text)}\n")
        sys.stdout.flush()
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()


def lines_to_say(messages: Iterable[str], prompt: Callable[[], None], hint: str) -> Lines:
    """Return the lines of the command line; without one, those of the terminal, after a hint, or of the pipe."""
    given = [text.encode("utf-8", "surrogateescape") for text in messages]
    if given:
        return Lines(None, given)
    if sys.platform == "win32":  # select() takes sockets only there
        raise click.UsageError("on Windows nothing can be typed here: say it with --message TEXT")
    if not sys.stdin.isatty():
        return Lines(sys.stdin.fileno())
    print(hint, file=sys.stderr, flush=True)
    return Lines(sys.stdin.fileno(), prompt=prompt)
