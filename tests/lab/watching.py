"""A program that runs a command in a private world and says in one line what came of it: what `sniff -- COMMAND` needs.

`python -m tests.lab.watching [--strace] COMMAND...`
"""

from __future__ import annotations

import sys

from handshake_inspect.lab.command.refusals import CommandError
from handshake_inspect.lab.command.run import run_command
from handshake_inspect.lab.command.running import Running


def watch(running: Running) -> int:
    print("watching", flush=True)
    frames = sum(len(block) for block in running.blocks())
    ended = running.ended
    assert ended is not None
    print(f"{frames} frames, status {ended.exit_status}, killed by {ended.killed_by or 'nobody'}", flush=True)
    return ended.exit_status


def main() -> int:
    arguments = sys.argv[1:]
    traced = arguments[0] == "--strace"
    try:
        return run_command(arguments[traced:], watch, traced=traced)
    except CommandError as error:
        print(error, file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
