"""`--index`: the index of a capture, found beside it or made while it is read.

It is kept beside the capture, as its name with HSI behind it; if that folder cannot be written, in the cache folder of
the user (XDG_CACHE_HOME, or ~/.cache). An index that does not fit is reported in one line and made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from handshake_inspect import __version__
from handshake_inspect.archive import Archive, ArchiveError
from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.capture.remote import is_remote
from handshake_inspect.cli.captures import FilesRead
from handshake_inspect.cli.naming import INDEX_ENDING
from handshake_inspect.cli.remains import no_remains
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.indexed.identity import Identity, identity_of
from handshake_inspect.indexed.index import Index, UselessIndex
from handshake_inspect.indexed.making import make_index
from handshake_inspect.places import Places
from handshake_inspect.there import is_file, is_there


def refuse_index(files: Sequence[str], reader: str, **others: object) -> None:
    """Raise click.UsageError if no index can be kept for the input, or if it does not hold what is asked."""
    for option, given in {"--reader scapy": reader == "scapy", **others}.items():
        if given:
            raise click.UsageError(f"--index and {option} do not go together")
    if len(files) > 1:
        raise click.UsageError(f"--index keeps an index of one file; {len(files)} are named")
    if files and (is_remote(files[0]) or files[0] == "-" or (is_there(files[0]) and not Input(files[0]).is_file)):
        raise click.UsageError(f"--index keeps an index beside a file; {files[0]} is none")


def open_index(path: str, profile: str) -> Index | None:
    """Return the index of a capture; None if there is none that fits. One that does not fit is reported."""
    useless: list[tuple[Path, str]] = []
    for target in filter(is_file, _targets(path)):
        try:
            archive = Archive.open(target)
        except (OSError, ArchiveError):
            useless.append((target, "it is damaged, or no index"))
            continue
        try:
            return Index(archive, path, path, profile)
        except (UselessIndex, OSError) as error:
            archive.close()
            useless.append((target, str(error)))
    for one in useless[:1]:
        say_useless(*one)
    return None


def has_index(path: str, profile: str) -> bool:
    """Is there an index that fits? One that does not fit is reported."""
    index = open_index(path, profile)
    if index is not None:
        index.close()
    return index is not None


def say_useless(target: Path | str, why: str) -> None:
    """Report that an index is not used."""
    remark(f"{target}: {why}: made anew")


@dataclass
class IndexMaking:
    """An index that is being made."""

    places: Places
    #: The inspection, once everything was read.
    reading: FilesRead | None = None


@contextmanager
def index_made(path: str) -> Iterator[IndexMaking]:
    """Make the index of a capture while it is read; kept if it was read to its end and has not changed.

    It is written when all else is done, so that nobody waits for it. Raises CaptureError where there is no room.
    """
    with contextlib.ExitStack() as stack:
        target, file = _begun(path, stack.enter_context(no_remains()))
        before = _identity(path)
        archive = stack.enter_context(Archive(file))
        making = IndexMaking(Places(archive))
        try:
            yield making
            reading = making.reading
            if reading is None or reading.useless or reading.interrupted or before is None:
                return
            if _identity(path) != before:
                remark(f"{path}: it changed while it was read: no index is kept")
                return
            make_index(reading.inspection, making.places, before)
            archive.close()
        except ArchiveError as error:
            raise CaptureError(f"{target}: the index cannot be written: {error}") from None
        with contextlib.suppress(OSError):
            shutil.copymode(path, file.name)
        try:
            Path(file.name).replace(target)
        except OSError as error:
            raise CaptureError(f"{target}: the index cannot be written: {error.strerror or error}") from None


def _identity(path: str) -> Identity | None:
    """Return the identity of a capture; None if it cannot be opened, which reading reports."""
    try:
        return identity_of(path)
    except OSError:
        return None


def _begun(path: str, remains: list[Path]) -> tuple[Path, tempfile._TemporaryFileWrapper[bytes]]:
    """Open a file in the first folder that can be written; return the path of the index, and the file."""
    reasons = []
    for target in _targets(path):
        try:
            if target.parent != Path(path).parent:
                target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                target.lstat()  # a longer name than the folder takes is told here, before all is read
            file = tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", suffix=INDEX_ENDING, delete=False)  # noqa: SIM115
        except OSError as error:
            reasons.append(f"{target}: {error.strerror or error}")
            continue
        remains.append(Path(file.name))
        return target, file
    raise CaptureError(f"--index: there is no place for an index ({'; '.join(reasons)}); go on without it")


def _targets(path: str) -> list[Path]:
    """Return the paths where the index of a capture may be kept, the best first."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    real = os.path.realpath(path)
    name = f"{hashlib.blake2b(os.fsencode(real), digest_size=8).hexdigest()}-{__version__}{INDEX_ENDING}"
    return [Path(f"{path}{INDEX_ENDING}"), Path(base).expanduser() / "handshake-inspect" / name]
