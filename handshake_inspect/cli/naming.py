"""Names on the command line -> files: a folder means the captures in it, a pattern those that it matches.

In: names as the user gave them; patterns come here if they are quoted, or if the shell expands none. Out: files, in the
order of the names, sorted within each. Captures are recognised by their contents. Other files in folders and patterns
are skipped and counted in one line; hidden files, files that are not regular, and expectations and indexes beside
captures are not opened.
"""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import os
from collections.abc import Callable, Iterable
from dataclasses import field
from pathlib import Path

import click

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.records import CaptureError, NotACapture
from handshake_inspect.capture.remote import is_remote, is_remote_pattern, remote_names
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.expect.beside import ENDING
from handshake_inspect.plain import mutable
from handshake_inspect.quantities import counted

#: Octets read at once to tell what a file is: enough for the first header, also when it is compressed.
LOOK_OCTETS = 4096
#: How the name of an index ends (`indexing`).
INDEX_ENDING = ".hsi"


@mutable
class NamedFiles:
    """The files that the names mean, and whether a name could not be used."""

    files: list[str] = field(default_factory=list)
    #: Names, or folders below them, that could not be used, and why; each was reported.
    failed: list[tuple[str, str]] = field(default_factory=list)
    #: Files of expectations among the files of folders and patterns.
    expectations: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0, or 2 if a name could not be used."""
        return 2 if self.failed else 0

    def refuse(self, name: str, why: str) -> None:
        """Report a name that cannot be used."""
        remark(f"Error: {name}: {why}")
        self.failed.append((name, why))


def files_named(names: Iterable[str], is_meant: Callable[[str], bool] = lambda file: False) -> NamedFiles:
    """Return the files that names, folders and patterns mean; report each name that cannot be used, in one line.

    `is_meant`: must a file be one of them, though it is no capture?
    """
    named = NamedFiles()
    for name in names:
        if not is_folder(name) and not is_pattern(name) and not is_remote_pattern(name):
            named.files.append(name)  # where it cannot be used, reading it says why
            continue
        try:
            files = _files_of(name, named.refuse)
        except CaptureError as error:
            named.refuse(name, str(error).removeprefix(f"{name}: "))
            continue
        named.expectations += [one for one in files if one.endswith(ENDING)]  # they lie among captures
        files = [one for one in files if not one.endswith((ENDING, INDEX_ENDING))]
        captures = [one for one in files if is_meant(one) or is_capture(one)]
        if not captures:
            named.refuse(name, _without(name, files))
        elif len(captures) < len(files):
            remark(_passed_over(name, len(files) - len(captures), len(files)))
        named.files += captures
    first: dict[str, str] = {}
    for file in named.files:
        first.setdefault(_place(file), file)
    if len(first) < len(named.files):
        remark(f"{counted(len(named.files) - len(first), 'file')} named again: read once")
    named.files = list(first.values())
    return named


def refuse_overwriting(files: Iterable[str], target: str | None, option: str, what: str = "the capture") -> None:
    """Raise click.BadParameter if the file to write is also read: writing it would destroy the input."""
    if target is None:
        return
    for file in files:
        with contextlib.suppress(OSError):
            if Path(file).samefile(target):
                raise click.BadParameter(
                    f"{target} is {what} that is read: choose another name", param_hint=f"'{option}'"
                )


def refuse_replacing(target: str | None, option: str, what: str) -> None:
    """Raise click.BadParameter if `what`, which is no capture, would overwrite one."""
    if target is None or not os.path.isfile(target):  # noqa: PTH113 - Path.is_file raises where it may not look
        return
    with contextlib.suppress(CaptureError), open_capture(target, block_octets=LOOK_OCTETS):
        raise click.BadParameter(
            f"{target} is a capture, no place for {what}: choose another name", param_hint=f"'{option}'"
        )


def _place(file: str) -> str:
    """Return the identity of a file, the same for all its names."""
    return file if file == "-" or is_remote(file) else os.path.realpath(file)


def is_folder(name: str) -> bool:
    """Is it the name of a folder?"""
    return name != "-" and os.path.isdir(name)  # noqa: PTH112 - Path.is_dir raises where it may not look


def is_pattern(name: str) -> bool:
    """Is the name a pattern? A file that exists is none, even if its name has `*`, `?` or `[`."""
    return glob.has_magic(name) and not is_remote(name) and not os.path.lexists(name)


def _files_of(name: str, refuse: Callable[[str, str], None]) -> list[str]:
    """List the files of a folder or pattern; call `refuse` for folders that cannot be listed."""
    if is_remote(name):
        return remote_names(name)
    return _files_in(name, refuse) if is_folder(name) else _files_matching(name, refuse)


def _files_in(folder: str, refuse: Callable[[str, str], None]) -> list[str]:
    """List the files of a folder and of those below it; links to folders are not followed, as they may form cycles."""
    found = []
    walk = os.walk(folder, onerror=lambda error: refuse(error.filename, f"cannot be listed: {error.strerror}"))
    for place, below, names in walk:
        below[:] = [one for one in below if not one.startswith(".")]
        found += [str(Path(place, one)) for one in names if not one.startswith(".")]
    return _regular(found)


def _files_matching(pattern: str, refuse: Callable[[str, str], None]) -> list[str]:
    """List the files that a pattern matches; `**` stands for any folders. Hidden ones only if it names the dot."""
    parts = Path(pattern).parts
    if "**" not in parts:
        return _regular(glob.glob(pattern))  # noqa: PTH207 - Path.glob takes no absolute pattern
    # glob's own `**` follows links, and has no end where two of them go round.
    begin = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:begin])
    found = _files_in(str(root), refuse)
    return [one for one in found if _matches(Path(one).relative_to(root).parts, parts[begin:])]


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Do the parts of a path match those of a pattern?"""
    if not pattern or not parts:
        return not pattern and not parts
    if pattern[0] == "**":
        rest = pattern[1:] or ("*",)
        return _matches(parts, rest) or _matches(parts[1:], pattern)
    return fnmatch.fnmatch(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _regular(paths: Iterable[str]) -> list[str]:
    """Return the regular files: opening a pipe or a device might block. One with the name `-` gets its path."""
    paths = ("./-" if one == "-" else one for one in paths)
    regular = (one for one in dict.fromkeys(paths) if os.path.isfile(one))  # noqa: PTH113 - as above
    return sorted(regular, key=lambda one: Path(one).parts)


def _without(name: str, files: list[str]) -> str:
    among = f" (of {counted(len(files), 'file')})" if files else ""
    where = "in this directory" if is_folder(name) else "that this pattern matches"
    return f"there is no capture {where}{among}"


def _passed_over(name: str, count: int, of: int) -> str:
    return f"{name}: {count:,} of {counted(of, 'file')} {'is no capture' if count == 1 else 'are no captures'}"


def is_capture(file: str) -> bool:
    """Is it a capture by its first octets? A file that cannot be opened counts as one, so that reading reports why."""
    try:
        with open_capture(file, block_octets=LOOK_OCTETS):
            return True
    except NotACapture:
        return False
    except CaptureError:
        return True
