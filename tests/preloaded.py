"""All that the project can import, imported: a process that forks has it once, and not each of its children again.

Scapy alone takes half a second, and every scenario of the lab runs in children of its own.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import walk_packages

import handshake_inspect

#: One begins when it is imported, the other is there for pytest alone.
NOT_FOR_COMMANDS = ("handshake_inspect.__main__", "handshake_inspect.pytest_plugin")


def import_all() -> None:
    """Import every module of the project, and with them what they import."""
    for module in walk_packages(handshake_inspect.__path__, "handshake_inspect."):
        if module.name not in NOT_FOR_COMMANDS:
            import_module(module.name)
