"""Times `read` beside the programs that people would take instead, and says whether it is as fast as it is meant to be.

    make bench
    make bench ARGS="--rounds 1 --only flood --only bulk"
    make bench ARGS="--growth"             ten times the packets
    make bench ARGS="--growth --long"      and ten times those: 10 to 20 million
    make bench ARGS="--hostile"            captures that somebody made to be slow
    make bench ARGS="--readme"             all of this but `--long`, and writes the tables into the README

It makes four captures (`workload`), and multiplies the largest ones of the folder HANDSHAKE_CAPTURES, if that is set
(`multiplied`); those made to be slow are of `hostile`. Whole processes run in turn, from the page cache, with their
output thrown away. Exits with 1 if a limit of `peers` does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.bench.peers import HOSTILE, HOSTILE_PACKETS, OURS, PEERS
from tests.bench.report import (
    IDLE,
    ONE_JOB,
    OWN,
    Growth,
    Hostile,
    Measured,
    growth_table,
    hostile_table,
    missed,
    stage_table,
    table,
    written_into,
)
from tests.bench.stopwatch import Amount, Run, amount, in_turn, peak_of_all, timed

WORKLOADS = ("bulk", "lossy", "short", "flood")
#: So many of the real captures are multiplied, to so many packets.
MOST_REAL, REAL_PACKETS = 3, 500_000
#: A classic pcap header, of Ethernet: a capture without packets.
EMPTY = bytes.fromhex("d4c3b2a1 02000400 00000000 00000000 00000400 01000000")
#: Our own command in one process, all of whose processor time is known.
ALONE = [*OURS, "--jobs", "1"]
README = Path(__file__).parents[2] / "README.md"


def made(folder: Path, name: str, *options: str) -> Path:
    """Return the capture of a workload, making it if it is not there."""
    path = folder / f"{''.join((name, *options)).replace('--', '-')}.pcap"
    if not path.exists():
        run_module("workload", name, path, *options)
    return path


def run_module(name: str, *arguments: str | Path) -> None:
    """Run a module of this folder, in a process of its own: what it takes is not ours."""
    subprocess.run([sys.executable, "-m", f"tests.bench.{name}", *map(str, arguments)], check=True)


def real_captures(folder: Path) -> dict[str, Path]:
    """Return the largest captures of HANDSHAKE_CAPTURES, multiplied; those that our own list has most segments of."""
    captures = os.environ.get("HANDSHAKE_CAPTURES")
    if not captures:
        return {}
    files = sorted(Path(captures).glob("*.pcap"), key=lambda path: -path.stat().st_size)[: 4 * MOST_REAL]
    files.sort(key=lambda path: -amount(OURS, path).segments)
    found = {}
    for path in files[:MOST_REAL]:
        target = folder / f"{path.stem}-multiplied.pcap"
        if not target.exists():
            run_module("multiplied", path, target, "--packets", str(REAL_PACKETS))
        found[path.stem.split("__")[-1]] = target
    return found


def stages_of(file: Path) -> dict[str, float]:
    """Return the processor seconds of each of our stages, from a process of its own."""
    command = [sys.executable, "-m", "tests.bench.stages", str(file)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    stages: dict[str, float] = json.loads(done.stdout)
    return stages


def measure(name: str, file: Path, rounds: int, idle: Run) -> Measured:
    """Time all commands on one capture."""
    print(f"{name}: {rounds} rounds ...", file=sys.stderr, flush=True)
    counted = amount(OURS, file)
    commands = {OWN: (OURS, file), ONE_JOB: (ALONE, file)}
    commands |= {peer: (one.command, file) for peer, one in PEERS.items() if shutil.which(one.command[0])}
    runs = in_turn(commands, rounds)
    if not runs[OWN]:
        raise SystemExit(f"{' '.join(OURS)} failed on {file}")
    for own in (OWN, ONE_JOB):
        runs[own] = with_all(runs[own], *commands[own])
    return Measured(name, counted, runs, idle, stages_of(file))


def with_all(runs: Sequence[Run], command: Sequence[str], file: Path) -> list[Run]:
    """Return runs of our own with the peak of all of its processes together."""
    peak_octets = peak_of_all(command, file)
    return [replace(run, peak_octets=peak_octets) for run in runs]


def measure_all(chosen: Sequence[str], folder: Path, rounds: int) -> list[Measured]:
    """Make the captures chosen, and time all commands on each."""
    files = {name: made(folder, name) for name in WORKLOADS if name in chosen}
    files |= real_captures(folder) if "real" in chosen else {}
    empty = without_packets(folder)
    timed(OURS, empty)
    idle = timed(OURS, empty)
    return [measure(name, file, rounds, idle) for name, file in files.items()]


def grow(name: str, folder: Path, rounds: int, *, long: bool) -> Growth:
    """Time a workload and ten times as much of it."""
    print(f"{name}: growth, {rounds} rounds ...", file=sys.stderr, flush=True)
    small = made(folder, name) if long else made(folder, name, "--of", "10")
    large = made(folder, name, "--times", "10") if long else made(folder, name)
    amounts: tuple[Amount, Amount] = amount(OURS, small), amount(OURS, large)
    runs = in_turn({"small": (OURS, small), "large": (OURS, large)}, rounds)
    return Growth(name, amounts, (with_all(runs["small"], OURS, small), with_all(runs["large"], OURS, large)))


def without_packets(folder: Path) -> Path:
    """Return a capture without packets."""
    path = folder / "empty.pcap"
    path.write_bytes(EMPTY)
    return path


def withstand(folder: Path, rounds: int) -> list[Hostile]:
    """Time the captures made to be slow beside `short`."""
    print(f"captures made to be slow: {rounds} rounds ...", file=sys.stderr, flush=True)
    short = made(folder, "short")
    commands = {OWN: (ALONE, short), IDLE: (ALONE, without_packets(folder))}
    for name in HOSTILE:
        path = folder / f"hostile-{name}.pcap"
        if not path.exists():
            run_module("hostile", name, path, "--packets", str(HOSTILE_PACKETS))
        commands[name] = (ALONE, path)
    runs = in_turn(commands, rounds)
    if failed := [name for name, found in runs.items() if not found]:
        raise SystemExit(f"{' '.join(ALONE)} failed on {', '.join(failed)}")
    packets = amount(OURS, short).segments
    return [Hostile(name, HOSTILE_PACKETS, packets, runs[name], runs[OWN], runs[IDLE]) for name in HOSTILE]


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each command runs")
    parser.add_argument("--only", action="append", choices=[*WORKLOADS, "real"], help="these captures alone")
    parser.add_argument("--growth", action="store_true", help="time ten times the packets instead")
    parser.add_argument("--long", action="store_true", help="grow from there, up to 20 million packets")
    parser.add_argument("--hostile", action="store_true", help="time captures that somebody made to be slow instead")
    parser.add_argument("--readme", action="store_true", help="time all three, and write the tables into the README")
    parser.add_argument("--folder", type=Path, help="where the captures are kept; else they are removed at the end")
    return parser.parse_args(arguments)


def main() -> int:
    """Make the captures, time the commands, print the tables."""
    given = read_options()
    chosen = given.only or [*WORKLOADS, "real"]
    with tempfile.TemporaryDirectory(prefix="handshake-bench-") as temporary:
        folder = given.folder or Path(temporary)
        measured, grown, withstood = [], [], []
        if given.readme or not (given.growth or given.hostile):
            measured = measure_all(chosen, folder, given.rounds)
            print(table(measured, limits=True), "", stage_table(measured), sep="\n")
        if given.readme or given.growth:
            grown = [grow(name, folder, given.rounds, long=given.long) for name in WORKLOADS if name in chosen]
            print("", growth_table(grown), sep="\n")
        if given.readme or given.hostile:
            withstood = withstand(folder, given.rounds)
            print("", hostile_table(withstood), sep="\n")
    failures = missed(measured, grown, withstood)
    print("\n".join(["", *(f"missed: {line}" for line in failures)] if failures else ["", "every limit holds"]))
    if given.readme:
        tables = [table(measured, limits=False), growth_table(grown), stage_table(measured), hostile_table(withstood)]
        README.write_text(written_into(README.read_text(), "\n\n".join(tables)))
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
