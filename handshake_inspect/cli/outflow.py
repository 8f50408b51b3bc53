"""Connections of a run that is too long for memory: each is written when it is over, and dropped.

In: the options, and the connections that are over while captures are read. Out: their lines, in the order in which they
end; the rest is written below them. A pipe may never end, so only some of its connections are kept; of files all are,
unless `--keep` limits them: only connections that are kept can be sorted by first segment.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from handshake_inspect.capture.inputs import Input
from handshake_inspect.cli.choose import Choice
from handshake_inspect.tcp.time_wait import profile_of

if TYPE_CHECKING:
    from handshake_inspect.inspection import Inspection

#: Formats in which connections may come in any order, some at a time.
IN_PARTS = ("csv", "ndjson", "zeek")
#: Connections of a pipe that are held, and how many times that if they are not over: 400 octets each.
KEPT, MOST_TIMES = 1_000_000, 4


class Outflow:
    """Writes the connections that are dropped."""

    def __init__(self, keep: int, chosen: Choice, format_: str, profile: str) -> None:
        # Where all are held, a large capture begins to be read before this is imported.
        from handshake_inspect.connections.endless.retention import Retention

        # Most are not over yet when few are kept: the time for which they stay bounds these.
        most = max(MOST_TIMES * keep, KEPT)
        self.leaving = Retention(profile_of(profile).length_ns, keep=keep, most=most)
        self.has_begun = False
        self._chosen, self._format = chosen, format_

    def write(self, left: Inspection) -> None:
        """Write connections that are dropped."""
        from handshake_inspect.cli.listing import write_part

        write_part(left, self._chosen, self._format, is_first=not self.has_begun)
        sys.stdout.flush()  # it may be long until others leave
        self.has_begun = True


def outflow(
    keep: int | None, files: Sequence[str], chosen: Choice, format_: str, profile: str, **others: object
) -> Outflow | None:
    """Return the writer of the connections that are dropped; None if all are kept.

    `others`: options by their names that need all of them. Raises click.UsageError if one is given beside --keep.
    """
    whole = {"--sort": chosen.sort, "--limit": chosen.limit is not None, "--stream": chosen.selection.streams, **others}
    against = next((name for name, given in whole.items() if given), None)
    if keep is None:
        never_ends = any(file == "-" or not Input(file).can_be_opened_again for file in files)
        keep = KEPT if never_ends and format_ in IN_PARTS and against is None else None
    elif format_ not in IN_PARTS:
        raise click.UsageError(f"--keep needs --format {', '.join(IN_PARTS[:-1])} or {IN_PARTS[-1]}")
    elif against is not None:
        raise click.UsageError(f"--keep and {against} do not go together: it needs all connections")
    return None if keep is None else Outflow(keep, chosen, format_, profile)
