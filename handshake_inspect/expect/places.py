"""Where an expectation is written, and the error for one that cannot be used.

In: a source, a line. Out: `Place`, `ExpectationError`, and `Lines`, which knows the line of each key.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where an expectation is written."""

    #: A file, or "--handshake".
    source: str
    #: Line in the file, from 1; None: it is no file.
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file; None: it is an option of the command line."""
        return None if self.source.startswith("--") else self.source


class ExpectationError(ValueError):
    """Expectations that cannot be used. One line: where, what, and what to write instead."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        #: Where they are wrong; None: there are none, or it is not that which is wrong.
        self.place = place

    @classmethod
    def at(cls, place: Place, message: str) -> ExpectationError:
        """Return an error that begins with its place."""
        return cls(f"{place}: {message}", place)


class Lines:
    """Where keys are written. This one knows only the name of the source; `FileLines` knows lines."""

    def __init__(self, source: str) -> None:
        self.source = source

    def place(self, table: int | None = None, key: str | None = None, end: str | None = None) -> Place:
        """Return the place of a key of the document, or of its [[expect]] table number `table`, from 0.

        `end`: where it says something of that end.
        """
        return Place(self.source)
