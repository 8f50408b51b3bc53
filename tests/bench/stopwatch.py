"""Whole processes timed: wall clock, processor, peak memory.

In: commands, and a capture. Out: a `Run` of each, in turn, so that what slows the machine down slows all of them down.
A process that starts another hands its own peak memory down to it (Linux, execve), so this one stays small: it imports
neither numpy nor anything of ours, and a peak below 16 MB is its own.
"""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One process, from its start to its end."""

    seconds: float
    cpu_seconds: float
    peak_octets: int


@dataclass(frozen=True)
class Amount:
    """What a capture holds, as our own list of it says."""

    segments: int
    connections: int


#: How often it is looked how much memory processes hold.
LOOKED_AT_EVERY_S = 0.02


class CommandError(Exception):
    """A command did not succeed."""


def timed(command: Sequence[str], file: Path, *, memory_octets: int | None = None) -> Run:
    """Run a command on a capture, its output thrown away. `memory_octets`: it gets no more. Raises CommandError."""
    words = filled(command, file)
    began = time.perf_counter()
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if memory_octets is not None:
        resource.prlimit(process.pid, resource.RLIMIT_AS, (memory_octets, memory_octets))
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise CommandError(f"{words[0]} ended with {process.returncode}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def peak_of_all(command: Sequence[str], file: Path) -> int:
    """Run a command likewise, and return how much memory it and what it has started hold together at most, in octets.

    What several of them share is counted once (Pss of smaps_rollup, looked at every 20 ms: in a run of its own, for it
    takes time). Of a peak that is shorter than that the part of a single process is known at least.
    """
    words = filled(command, file)
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most = 0
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        most = max(most, sum(map(_held_octets, _with_children(process.pid))))
        time.sleep(LOOKED_AT_EVERY_S)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise CommandError(f"{words[0]} ended with {process.returncode}")
    return max(most, usage.ru_maxrss * 1024)


def _with_children(process: int) -> list[int]:
    """Return a process and those that it has started, and these."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:  # it is over
        return []
    return [process, *(each for child in children for each in _with_children(int(child)))]


def _held_octets(process: int) -> int:
    """Return what a process holds, of what it shares its part; 0 if it is over."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def filled(command: Sequence[str], file: Path) -> list[str]:
    """Return a command for one capture."""
    return [str(file) if word == "{file}" else word for word in command]


def in_turn(commands: Mapping[str, tuple[Sequence[str], Path]], rounds: int) -> dict[str, list[Run]]:
    """Run each command on its capture once a round. One that fails is run no more, and has no runs."""
    memory_octets = available_octets()
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    failed: set[str] = set()
    for _ in range(rounds):
        for name, (command, file) in commands.items():
            if name not in failed:
                try:
                    runs[name].append(timed(command, file, memory_octets=memory_octets))
                except (CommandError, FileNotFoundError):
                    failed.add(name)
    return {name: [] if name in failed else found for name, found in runs.items()}


def available_octets() -> int:
    """Return how much memory the machine can give, so that a command that wants more fails and harms nobody."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def amount(command: Sequence[str], file: Path) -> Amount:
    """Count what `read --format csv` lists, which also warms the caches."""
    connections = segments = 0
    with subprocess.Popen(filled(command, file), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as one:
        assert one.stdout is not None
        for row in csv.DictReader(one.stdout):
            connections += 1
            segments += int(row["segments_originator"]) + int(row["segments_responder"])
    if one.returncode:
        raise CommandError(f"{' '.join(filled(command, file))} ended with {one.returncode}")
    return Amount(segments, connections)
