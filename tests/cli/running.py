"""Runs the command line as a user does: as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PCAPS = REPOSITORY / "pcaps"


def run(*arguments: str, stdin: bytes | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `handshake-inspect` with these arguments, away from the terminal of the test run."""
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    done = subprocess.run(
        [sys.executable, "-m", "handshake_inspect", *arguments],
        input=stdin if stdin is not None else b"",
        capture_output=True,
        timeout=60,
        env={**clean, "PYTHONIOENCODING": "utf-8", **environment},
        cwd=REPOSITORY,
        check=False,
    )
    out, err = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)
