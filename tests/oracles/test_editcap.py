"""The same frames in every format that Wireshark's editcap writes and we read give the identical answers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from handshake_inspect import inspect
from tests.oracles.everything import everything

#: editcap's names. The last four are the variants of pcap with longer record headers.
FORMATS = ["pcap", "nsecpcap", "pcapng", "snoop", "modpcap", "suse6_3pcap", "rh6_1pcap", "nokiapcap"]
CAPTURES = ["zeek__wikipedia.pcap", "zeek__ldap_simpleauth.pcap", "zeek__redis_django-cloud.pcapng"]


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize("format_", FORMATS)
def test_what_editcap_writes_is_read_the_same(captures_dir: Path, tmp_path: Path, name: str, format_: str) -> None:
    editcap = shutil.which("editcap")
    if editcap is None:
        pytest.skip("editcap (Wireshark) is not installed")
    converted = tmp_path / name
    subprocess.run([editcap, "-F", format_, captures_dir / name, converted], check=True, capture_output=True)
    ours, theirs = inspect(captures_dir / name), inspect(converted)
    assert theirs.damage == []
    assert everything(ours, steps=True) == everything(theirs, steps=True)
    assert len(ours.connections)
