"""The connections of a capture, to be asserted on: `Handshakes`.

In: capture files. Out: connections, chosen as on the command line, and assertions whose messages show the ladder. It
is a sequence of connections, so that `len`, indices and loops work; nothing is inspected before it is asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.conditions.parser import parse
from handshake_inspect.conditions.selection import Selection, network, stream_ranges
from handshake_inspect.connections.connection import Connection
from handshake_inspect.inspection import Inspection, Inspector
from handshake_inspect.quantities import counted, listed
from handshake_inspect.testing.drawing import ladder_text, list_text
from handshake_inspect.views.contract import connection_object

#: Connections that a failure is likely to be about.
MOST_LOOKED_AT = 3


class HandshakeAssertionError(AssertionError):
    """What was captured is not what was expected. `drawn`: the streams whose ladders the message shows already."""

    def __init__(self, message: str, drawn: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.drawn = tuple(drawn)


class Capture:
    """Captures that are inspected as one run, when somebody first asks."""

    def __init__(self, files: Mapping[str, Path], *, profile: str = "linux", is_live: bool = False) -> None:
        #: By the names that messages use.
        self.files = files
        self.name = listed([*files])
        self.profile = profile
        #: It was recorded while a test ran: nobody else has it.
        self.is_live = is_live
        #: Frames are still being written to it.
        self.is_going_on = is_live
        #: The connections that were looked at last, one by one.
        self.looked_at = deque[int](maxlen=MOST_LOOKED_AT)

    @cached_property
    def inspection(self) -> Inspection:
        """What the captures show. Raises CaptureError if one cannot be used."""
        if self.is_going_on:
            raise CaptureError(f"{self.name}: is still being captured; ask after the with block")
        inspector = Inspector(profile=self.profile)
        inspector.read([Input(path, name=name) for name, path in self.files.items()])
        return inspector.result()

    @property
    def paths(self) -> dict[str, str]:
        """Where each file can be read again, by its name."""
        return {name: str(path) for name, path in self.files.items()}


class Handshakes(Sequence[Connection]):
    """The connections of a capture, or some of them, in order of stream."""

    def __init__(self, capture: Capture, chosen: NDArray[np.int64] | None = None, chosen_by: str = "") -> None:
        self.capture = capture
        self._chosen = chosen
        self._chosen_by = chosen_by

    @property
    def inspection(self) -> Inspection:
        """All that `inspect()` found: findings, UDP exchanges, damage, TIME-WAIT."""
        return self.capture.inspection

    @property
    def streams(self) -> NDArray[np.int64]:
        """Numbers of the connections."""
        return self.inspection.connections.streams if self._chosen is None else self._chosen

    @property
    def connections(self) -> list[Connection]:
        """The connections."""
        return list(self._each())

    def __len__(self) -> int:
        return len(self.streams)

    @overload
    def __getitem__(self, index: int) -> Connection: ...
    @overload
    def __getitem__(self, index: slice) -> list[Connection]: ...
    def __getitem__(self, index: int | slice) -> Connection | list[Connection]:
        of_streams = self.inspection.connections.of_streams
        if isinstance(index, slice):
            return list(of_streams(self.streams[index]))
        return self._looked_at(next(of_streams(self.streams[[index]])))

    def __iter__(self) -> Iterator[Connection]:
        return map(self._looked_at, self._each())

    def _each(self) -> Iterator[Connection]:
        return self.inspection.connections.of_streams(self.streams)

    def _looked_at(self, connection: Connection) -> Connection:
        """Note that somebody looks at a connection."""
        self.capture.looked_at.append(connection.stream)
        return connection

    def __repr__(self) -> str:
        what = "being captured" if self.capture.is_going_on else counted(len(self), "connection")
        return f"<Handshakes of {self.name}: {what}>"

    @property
    def name(self) -> str:
        """What messages call it: "echo.pcap", "echo.pcap, port 8000"."""
        return f"{self.capture.name}, {self._chosen_by}" if self._chosen_by else self.capture.name

    @property
    def one(self) -> Connection:
        """The only connection. Raises AssertionError, with a list, if there are more, or none."""
        __tracebackhide__ = True
        if len(self) == 1:
            return self[0]
        raise HandshakeAssertionError(f"{self.name}: expected exactly one connection, seen {self._as_list()}")

    def of(
        self,
        *,
        port: int | None = None,
        host: str | None = None,
        stream: int | str | None = None,
        where: str | None = None,
    ) -> Handshakes:
        """Return those of which all holds that is given, as options of the command line say it.

        `port`: of either end. `host`: an address or a network ("10.0.0.0/8"). `stream`: a number, or numbers and ranges
        ("3,7-9"). `where`: a condition on the fields of the JSON ("handshake.kind == 'three-way'"). Raises ValueError.
        """
        selection = Selection(
            host=None if host is None else network(host),
            port=port,
            streams=() if stream is None else stream_ranges(str(stream)),
        )
        condition = None if where is None else parse(where)
        streams = np.intersect1d(self.streams, selection.of(self.inspection))
        if condition is not None:
            found = self.inspection.connections.of_streams(streams)
            streams = np.array([one.stream for one in found if condition.holds(connection_object(one))], np.int64)
        asked = {"port": port, "host": host, "stream": stream, "where": where}
        said = [self._chosen_by, *(f"{key} {value}" for key, value in asked.items() if value is not None)]
        return Handshakes(self.capture, streams, ", ".join(filter(None, said)))

    def ladder(self, stream: int | None = None) -> str:
        """Return the ladder of the only connection, or of one by its number, as text of several lines."""
        connection = self.one if stream is None else self.of(stream=stream).one
        return ladder_text(self.inspection, connection, self.capture.paths)

    def _as_list(self) -> str:
        """Say which connections there are."""
        return f"{len(self):,}:\n{list_text(self._each(), len(self), len(self.capture.files))}" if len(self) else "none"
