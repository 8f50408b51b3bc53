"""How much memory there is, and when glibc takes it from the system and returns it (other C libraries: nothing).

glibc returns free memory at the end of its heap as soon as it is some MB, and large arrays as soon as they are freed;
for the next block the system has to clear the same pages again. Memory freed between blocks in use it never returns by
itself: for 1 M connections that is 200 MB at the peak, as the answers grow while partitions are made and freed.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

#: Free memory kept for reuse, and the largest array taken from it (the most that mallopt(3) allows).
STAYING_OCTETS, LARGEST_OCTETS = 64 << 20, 32 << 20
#: Growth of the process that makes another search for free pages worthwhile, and the size below which none is.
GROWN_OCTETS, SMALL_OCTETS = 4 << 20, 96 << 20
#: Parameters of mallopt(3), as malloc.h numbers them.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_room() -> None:
    """Keep freed memory for reuse, until `give_back`: this saves a third of all page faults.

    It affects the whole process for good, so only a process of our own may call it.
    """
    if mallopt := _function("mallopt"):
        mallopt(M_MMAP_THRESHOLD, LARGEST_OCTETS)
        mallopt(M_TRIM_THRESHOLD, STAYING_OCTETS)


def give_back() -> None:
    """Return free pages to the system, if the process is large and has grown since the last time.

    The search takes 10 ms in a process that holds much else, like a test run: twice the time of a small capture.
    """
    global _held_octets
    if trim := _function("malloc_trim"):
        resident_octets = _resident_octets()
        if resident_octets >= max(_held_octets + GROWN_OCTETS, SMALL_OCTETS):
            trim(0)
            _held_octets = _resident_octets()
        else:
            _held_octets = min(_held_octets, resident_octets)


#: Resident size when pages were last returned, or less if it has shrunk since.
_held_octets = 0


def _resident_octets() -> int:
    """Return the resident size of this process in octets (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * mmap.PAGESIZE


def available_octets() -> int:
    """Return how much memory the system can give without paging (proc_meminfo(5)); endless where it does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return sys.maxsize
    told = (int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    return next(told, sys.maxsize)


def let_go(array: NDArray[Any]) -> None:
    """Return the pages of an array that is never read again to the system, but keep its addresses allocated.

    A fork does the same with pages that it shares. If it freed the array instead, its own data would be stored there,
    and shared pages would become private: undoing that by `give_back` each time takes a twentieth more time.
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
