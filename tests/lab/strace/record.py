"""Record the logs and captures of `pcaps/traced/`, and their page: `python -m tests.lab.strace.record`.

Each pair is of one run of a program of `programs`, in a private world: the capture opened before the program, strace
around it. Names of programs record only those.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from handshake_inspect.lab.page import table
from handshake_inspect.lab.record import kernel_name
from tests.lab.strace.programs import FLAGS, PROGRAMS, command_of, record

FOLDER = Path(__file__).parents[3] / "pcaps" / "traced"
HEADING = ("files", "strace asked for", "kernel", "strace", "shows")
PAGE = """# Recorded captures, with the logs of strace that belong to them

Each pair is of one run of one program: a capture at the loopback interface of a network namespace of its own, and the
log that `strace` wrote of it. Both are as the kernel and strace wrote them; `python -m tests.lab.strace.record`
records them anew. The programs, and the calls that must stand in the lanes of each ladder, are written in
`tests/lab/strace/programs.py`; a test checks every pair.

{pairs}
"""


def pages_lines() -> list[tuple[str, ...]]:
    """Return the lines of the page: a pair each."""
    version = subprocess.run(["strace", "--version"], capture_output=True, text=True, check=True).stdout.split()[3]
    return [
        (f"{program}-{flags}", f"`{' '.join(command_of(flags)[1:])}`", kernel_name(), version, PROGRAMS[program].shows)
        for program in PROGRAMS
        for flags in FLAGS
    ]


if __name__ == "__main__":
    for program in sys.argv[1:] or PROGRAMS:
        for flags in FLAGS:
            print(*record(program, flags, FOLDER))
    lines = [dict(zip(HEADING, line, strict=True)) for line in pages_lines()]
    (FOLDER / "README.md").write_text(PAGE.format(pairs=table(HEADING, lines)))
