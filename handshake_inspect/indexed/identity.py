"""Identifies the file of an index by properties that change when a file is written, replaced or truncated.

In: a path. Out: `Identity`. Files of equal size and time are distinguished by their first and last octets; a change in
the middle whose time was set back is not detected.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

#: Octets at the beginning and at the end that are compared.
ENDS_OCTETS = 1 << 16


@dataclass(frozen=True)
class Identity:
    """Properties of a file when the index was made."""

    octets: int
    modified_ns: int
    inode: int
    #: BLAKE2 of its first and last octets.
    ends: str


def identity_of(path: str | os.PathLike[str]) -> Identity:
    """Return the identity of a file. Raises OSError."""
    with Path(path).open("rb", buffering=0) as file:
        about = os.fstat(file.fileno())
        ends = hashlib.blake2b(file.read(ENDS_OCTETS), digest_size=16)
        file.seek(max(about.st_size - ENDS_OCTETS, 0))
        ends.update(file.read(ENDS_OCTETS))
    return Identity(about.st_size, about.st_mtime_ns, about.st_ino, ends.hexdigest())
