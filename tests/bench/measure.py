"""Times `read` beside tshark on the three workloads, whole processes in turn, and prints the table of the README.

    python -m tests.bench.measure [ROUNDS] [FOLDER]

tshark is what the section on speed compares with; without it only our own times are printed.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.workload import WORKLOADS

TSHARK = [
    "tshark", "-r", "{file}", "-Y", "tcp.flags.syn==1 or tcp.flags.fin==1 or tcp.flags.reset==1", "-T", "fields",
    "-e", "tcp.stream", "-e", "tcp.completeness", "-e", "frame.time_epoch", "-e", "tcp.flags", "-e", "tcp.seq",
    "-e", "tcp.ack",
]  # fmt: skip
OURS = [sys.executable, "-m", "handshake_inspect", "read", "{file}", "--format", "csv"]


def run(command: list[str], file: Path) -> tuple[float, float]:
    """Run a command once. Returns wall seconds and peak memory in MB."""
    filled = [word.format(file=file) for word in command]
    begin = time.perf_counter()
    process = subprocess.Popen(filled, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(filled)} failed with {process.returncode}")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def main() -> None:
    """Make the workloads, run the commands in turn, print one line each."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="handshake-bench-"))
    commands = {"handshake-inspect": OURS} | ({"tshark": TSHARK} if shutil.which("tshark") else {})
    print(f"{'workload':9} " + " ".join(f"{name:>26}" for name in commands) + "   ratio")
    for workload in WORKLOADS:
        file = folder / f"{workload}.pcap"
        if not file.exists():
            subprocess.run([sys.executable, "-m", "tests.bench.workload", workload, str(file)], check=True)
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                seen[name].append(run(command, file))
        seconds = {name: statistics.median(one for one, _ in runs) for name, runs in seen.items()}
        cells = [f"{seconds[name]:10.2f} s {max(peak for _, peak in seen[name]):8.0f} MB" for name in commands]
        ratio = f"{seconds['tshark'] / seconds['handshake-inspect']:7.1f}" if "tshark" in seconds else ""
        print(f"{workload:9} " + " ".join(f"{cell:>26}" for cell in cells) + f" {ratio}")


if __name__ == "__main__":
    main()
