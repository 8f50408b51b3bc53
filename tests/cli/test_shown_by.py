"""The command that shows captures again, as a shell takes it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import handshake_inspect
from handshake_inspect.cli.shown_by import shown_by
from tests.cli.running import PCAPS

PACKAGES = str(Path(handshake_inspect.__file__).parents[1])


@pytest.mark.parametrize("name", ["-v.pcap", "a b'$(id).pcap"])
def test_a_shell_that_is_given_it_shows_the_connection(tmp_path: Path, name: str) -> None:
    shutil.copy(PCAPS / "four-way.pcap", tmp_path / name)
    command = shown_by([name], "rfc", 0)
    assert command is not None
    here = command.replace("handshake-inspect", f"{shlex.quote(sys.executable)} -m handshake_inspect", 1)
    environment = {**os.environ, "PYTHONPATH": PACKAGES}
    shown = subprocess.run(here, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert f"stream 0 of {name}" in shown.stdout
    assert "RFC 9293: 2 MSL" in " ".join(shown.stdout.split())  # the line may be wrapped


@pytest.mark.parametrize("names", [["-"], ["a.pcap", "-"], ["new\nline.pcap"]])
def test_there_is_none_of_what_nobody_can_read_again(names: list[str]) -> None:
    assert shown_by(names, "linux", 3) is None
