"""Gives up privileges once a capture is open and needs none any more.

In: the process as it is. Out: the same process with fewer rights, and a text about what was given up. Under sudo it
becomes the user who called it. Otherwise root stays root without any capability, and running a program does not regain
them (capabilities(7)): it may still write root's own files, as their owner.

Only the calling thread loses its capabilities, as the kernel defines it; becoming another user applies to all threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# <linux/prctl.h>, <linux/capability.h>
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
CAPABILITY_VERSION_3 = 0x20080522
#: The number of capabilities that the bit sets of that version can hold.
MOST_CAPABILITIES = 64


@dataclass(frozen=True)
class User:
    """A user that a process may become."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


def give_up_privileges(writes: Iterable[Path] = ()) -> str | None:
    """Give up what an open capture does not need; return a text about it, None if there was nothing to give up.

    `writes`: files that are still to be opened, and folders in which some are still to be made. The process does not
    become a user who may not do that. Never raises: a right that the system does not allow to give up stays.
    """
    user, places = invoking_user(), list(writes)
    if user is not None and all(may_write(place, user) for place in places):
        with contextlib.suppress(OSError):  # no such user in this user namespace
            become(user)
            return f"goes on as {user.name}, without the rights of root"
    if not effective_capabilities():
        return None
    if needed := [place for place in places if os.geteuid() == 0 and not may_write_as_owner(place)]:
        return f"goes on with the rights of root, to write in {needed[0] if needed[0].is_dir() else needed[0].parent}"
    drop_capabilities()
    if effective_capabilities():
        return "goes on with its rights, which this system does not let it give up"
    return f"goes on without the {'rights of root' if os.geteuid() == 0 else 'capabilities that it had'}"


def invoking_user() -> User | None:
    """Return the user who called sudo, if this process is root by it; else None."""
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if not (hasattr(os, "geteuid") and os.geteuid() == 0 and uid.isdecimal() and gid.isdecimal() and int(uid)):
        return None
    import pwd  # not on Windows

    try:
        name = pwd.getpwuid(int(uid)).pw_name
        groups = os.getgrouplist(name, int(gid))
    except KeyError:
        name, groups = uid, [int(gid)]
    return User(name, int(uid), int(gid), tuple(groups))


def invoking_user_may_write(place: Path) -> bool:
    """Return whether root by sudo can leave writing a file, or files in a folder, to the user who called it."""
    user = invoking_user()
    return user is not None and may_write(place, user)


def place_of_access(place: Path) -> tuple[Path, int]:
    """Return the path to check for writing a file, or files in a folder, and the access that is needed on it."""
    if place.is_dir():
        return place, os.W_OK | os.X_OK
    return (place, os.W_OK) if place.exists() else (place.absolute().parent, os.W_OK | os.X_OK)


def may_write_as_owner(place: Path) -> bool:
    """Return whether root may still write there as the owner only, without any capability (inode(7))."""
    asked, access = place_of_access(place)
    found = asked.stat()
    shift = 6 if found.st_uid == os.geteuid() else 3 if found.st_gid in {os.getegid(), *os.getgroups()} else 0
    return found.st_mode >> shift & access == access


def may_write(place: Path, user: User) -> bool:
    """Return whether a user may write a file, or files in a folder; the kernel is asked as that user for a moment."""
    group, groups = os.getegid(), os.getgroups()
    try:
        os.setgroups(user.groups)
        os.setegid(user.gid)
        os.seteuid(user.uid)
        return os.access(*place_of_access(place), effective_ids=True)
    except OSError:
        return False
    finally:
        os.seteuid(0)
        os.setegid(group)
        with contextlib.suppress(OSError):  # they could not be changed before either
            os.setgroups(groups)


def become(user: User) -> None:
    """Become a user for good, in all threads; the kernel removes the capabilities. Raises OSError."""
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def drop_capabilities() -> None:
    """Give up all capabilities of this thread, and prevent programs that it runs from gaining any."""
    library = libc()
    for capability in range(MOST_CAPABILITIES):  # EINVAL for one that this kernel does not have
        library.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    library.capset(struct.pack("=Ii", CAPABILITY_VERSION_3, 0), bytes(24))


def effective_capabilities() -> int:
    """Return the bit set of this thread's effective capabilities; 0 if the system does not report it."""
    try:
        lines = Path("/proc/thread-self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)


def libc() -> ctypes.CDLL:
    """Return the C library: Python lacks prctl() and capset()."""
    return ctypes.CDLL(None, use_errno=True)
