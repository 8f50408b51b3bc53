"""Files that fsspec opens by a name with `://`: objects in a store, files on a server.

In: such a name. Out: a `Source`, which fetches octets as they are read; and the names that a pattern matches.
fsspec is an extra, and so is what it needs for some protocols (`s3fs` for `s3://`, `aiohttp` for `http://`).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any, cast

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.capture.source import Source

#: A protocol, or several of which each reads the next (`simplecache::s3://`).
_PROTOCOL = re.compile(r"([a-z][a-z0-9+.-]*::)*[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_remote(name: object) -> bool:
    """Is it a name for fsspec?"""
    return isinstance(name, str) and _PROTOCOL.match(name) is not None


def is_remote_pattern(name: str) -> bool:
    """Is it a pattern of names? Only `*` makes one: `?` and `[` may be part of a URL."""
    return is_remote(name) and "*" in name


def open_remote(url: str, name: str) -> RemoteSource:
    """Open a file by a name with `://`; `name`: its name in messages. Raises CaptureError."""
    with _refused(name, "opened"):
        store, path = _store_of(url, name)
        return RemoteSource(store.open(path, "rb"), store)


def remote_names(pattern: str) -> list[str]:
    """Return the names that a pattern with `://` matches, in order. Raises CaptureError."""
    with _refused(pattern, "listed"):
        store, path = _store_of(pattern, pattern)
        return [_name_of(one, pattern, store) for one in sorted(store.glob(path))]


def _name_of(path: str, pattern: str, store: Any) -> str:
    """Return the name of a path that a pattern matched: where one protocol reads another, with all of these."""
    if "::" not in pattern:
        return str(store.unstrip_protocol(path))
    links = pattern.split("::")
    place = next(place for place, link in enumerate(links) if "://" in link)
    protocol = f"{links[place].partition('://')[0]}://"
    links[place] = path if path.startswith(protocol) else protocol + path
    return "::".join(links)


def _store_of(url: str, name: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise CaptureError(
            f"{name}: fsspec opens names with ://, and is not installed; pip install 'handshake-inspect[fsspec]'"
        ) from None
    return cast(tuple[Any, str], url_to_fs(url))


@contextlib.contextmanager
def _refused(name: str, what: str) -> Iterator[None]:
    """Turn any exception into CaptureError: each protocol has its own."""
    try:
        yield
    except CaptureError:
        raise
    except Exception as error:
        raise CaptureError(f"{name}: cannot be {what}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "No such file or directory"
    return (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split()) or type(error).__name__


class RemoteSource(Source):
    """The octets of a remote file, fetched as they are read."""

    is_whole = True

    def __init__(self, file: Any, store: Any) -> None:
        self._file = file
        #: An archive is closed, with the files in it, when nobody knows it any more.
        self._store = store

    def readinto(self, view: memoryview) -> int:
        """Fetch some octets; raises OSError where they cannot be fetched."""
        try:
            octets = self._file.read(len(view))
        except Exception as error:
            raise OSError(_reason(error)) from None
        view[: len(octets)] = octets
        return len(octets)

    def pass_over(self, octets: int) -> bool:
        """Seek, where the protocol can read from any offset."""
        if not self._file.seekable():
            return False
        self._file.seek(octets, os.SEEK_CUR)
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
