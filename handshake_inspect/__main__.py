"""`python -m handshake_inspect`, and the console script: the command line, from its first moment on."""

from __future__ import annotations

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Import the command line and run it. Ctrl-C while it is imported ends the process without a traceback."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else whoever started us has them ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from handshake_inspect.cli import main as run

    signal.signal(signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
