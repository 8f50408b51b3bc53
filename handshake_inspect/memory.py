"""Takes memory from the system and gives it back, by the C library where that is glibc. Elsewhere nothing is done.

glibc has the system take back what is free at the end of its heap as soon as that is some MB, and large arrays as soon
as they are freed; the next block has the same pages cleared again. What is freed between what is kept it never gives
back by itself: of 1 M connections that is 200 MB at the peak, as the answers grow while partition after partition comes
and goes.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

#: Free memory that stays for what comes next, and the largest array that is taken from it (what mallopt(3) allows).
STAYING_OCTETS, LARGEST_OCTETS = 64 << 20, 32 << 20
#: What a process must have grown for it to be worth looking for free pages again.
GROWN_OCTETS = 4 << 20
#: Parameters of mallopt(3), as malloc.h numbers them.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_room() -> None:
    """Let memory that is freed stay for what comes next, until `give_back`: that is a third of all page faults less.

    It holds for the whole process, as long as it lives: for one that is ours.
    """
    if mallopt := _function("mallopt"):
        mallopt(M_MMAP_THRESHOLD, LARGEST_OCTETS)
        mallopt(M_TRIM_THRESHOLD, STAYING_OCTETS)


def give_back() -> None:
    """Return whole pages that are free, if the process has grown since the last time.

    To look for them takes 10 ms in one that holds a lot else, as a test run does: twice what a small capture needs.
    """
    global _held_octets
    if trim := _function("malloc_trim"):
        resident_octets = _resident_octets()
        if resident_octets >= _held_octets + GROWN_OCTETS:
            trim(0)
            _held_octets = _resident_octets()
        else:
            _held_octets = min(_held_octets, resident_octets)


#: What the process held when pages were last given back, or less if it has since shrunk.
_held_octets = 0


def _resident_octets() -> int:
    """Return how much of this process is in memory (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * mmap.PAGESIZE


def let_go(array: NDArray[Any]) -> None:
    """Return the whole pages of an array that is never read again, and keep its place.

    A copy of this process does the same with the pages that it shares. If it freed the array instead, its own work
    would be put there, and pages that it shared would become its own: to have `give_back` mend that each time takes a
    twentieth more time.
    """
    if advise := _function("madvise"):
        address, octets = array.__array_interface__["data"][0], array.nbytes
        first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        last = (address + octets) // mmap.PAGESIZE * mmap.PAGESIZE
        if first < last:
            advise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)


@cache
def _function(name: str) -> ctypes._NamedFuncPointer | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    # Another C library may have a `mallopt` that means something else.
    return getattr(library, name, None) if hasattr(library, "gnu_get_libc_version") else None
