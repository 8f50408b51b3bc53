"""What is freed stays for what comes next while a capture is read, and is given back afterwards."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from handshake_inspect import memory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="nothing is done without glibc")

#: Takes and frees what a block does, and prints how many pages were cleared for it; then how many are left, in pages.
ROUNDS = """
import resource
from handshake_inspect import memory
memory.SMALL_OCTETS = 0
{prepare}
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    blocks = [bytearray(octets) for octets in (8 << 20, 300_000, 3 << 20)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
del blocks
memory.give_back()
print(int(open("/proc/self/statm").read().split()[1]))
"""


def pages(prepare: str) -> tuple[int, int]:
    command = [sys.executable, "-c", ROUNDS.format(prepare=prepare)]
    cleared, left = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(cleared), int(left)


def test_memory_that_is_freed_stays_until_it_is_given_back() -> None:
    plain, kept = pages(""), pages("memory.keep_room()")
    assert 3 * kept[0] < 2 * plain[0]
    assert kept[1] < 1.1 * plain[1]


def test_who_has_not_grown_does_not_look_for_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sizes are made up: how much this process holds is up to the tests before."""
    looked: list[int] = []

    def give_back(resident_megabytes: int) -> int:
        monkeypatch.setattr(memory, "_resident_octets", lambda: resident_megabytes << 20)
        memory.give_back()
        return len(looked)

    monkeypatch.setattr(memory, "_function", lambda name: looked.append)
    monkeypatch.setattr(memory, "_held_octets", 0)
    small = memory.SMALL_OCTETS >> 20
    assert give_back(small - 1) == 0
    assert give_back(small) == 1
    assert give_back(small + 3) == 1, "it has hardly grown"
    assert give_back(small + 48) == 2
    assert give_back(small) == 2
    assert give_back(small + 48) == 3, "it has shrunk meanwhile, and grown again"


#: Takes 64 MiB, lets them go, and prints how many pages the process has before and after; the array has its place yet.
LET_GO = """
import numpy as np
from handshake_inspect import memory
memory.keep_room()
held = lambda: int(open("/proc/self/statm").read().split()[1])
array = np.ones(1 << 26, np.uint8)[1:]
before = held()
memory.let_go(array)
print(before, held(), array[0], array[-1])
"""


def test_an_array_that_is_let_go_has_no_pages_of_its_own() -> None:
    out = subprocess.run([sys.executable, "-c", LET_GO], capture_output=True, text=True, check=True).stdout
    before, after, first, last = map(int, out.split())
    assert before - after > 0.9 * (1 << 26) / 4096
    assert {first, last} <= {0, 1}
