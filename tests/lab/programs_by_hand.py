"""Starts the programs of `handshake-inspect echo` as a person does: each a process, in the network of the caller."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

REPOSITORY = Path(__file__).parents[2]
#: Nothing takes so long but a program that hangs.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Ended:
    """What a program left behind."""

    code: int
    out: str
    err: str

    @property
    def calls(self) -> list[str]:
        """Its socket calls, without times and peers."""
        return [
            match[1] for match in re.finditer(r"^\+\d+\.\d{3} s  (?:\S+:\d+ +|client \d+ +)?(\w+\(.*)$", self.err, re.M)
        ]


class Program:
    """One program in the background, perhaps as if on another system; whatever happens, it is ended."""

    def __init__(self, *arguments: str, system: str = "") -> None:
        run = ["tests.cli.elsewhere", system] if system else ["handshake_inspect"]
        environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", *run, "echo", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=REPOSITORY,
            env={**environment, "PYTHONIOENCODING": "utf-8"},
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def line(self) -> str:
        """Return the next line of its standard output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().removesuffix("\n")

    def address(self) -> str:
        """Of a server: wait until it is ready, and return where it is."""
        line = self.line()
        assert line.startswith("listening on "), line
        return line.removeprefix("listening on ")

    def type(self, text: str) -> None:
        """Write to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def end(self, by: signal.Signals | None = None) -> Ended:
        """Close its standard input, or send a signal, and return what it left."""
        if by is not None:
            self.process.send_signal(by)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        assert b"Traceback" not in err, err.decode()
        return Ended(self.process.returncode, out.decode(), err.decode())


def run_program(*arguments: str, typed: str = "", system: str = "") -> Ended:
    """Run one program to its end."""
    with Program(*arguments, system=system) as program:
        if typed:
            program.type(typed)
        return program.end()
