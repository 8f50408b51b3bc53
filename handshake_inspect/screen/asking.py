"""The line in which something is typed: a filter, what to find, the name of a file.

In: what is asked for, and what stands there at first. Out: a message with what is typed, and one when that is all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.message import Message
from textual.widgets import Input

from handshake_inspect.screen.colours import Colours
from handshake_inspect.screen.lines import Line

#: What is asked for, and what it is called there.
ASKED = {"filter": "filter", "find": "find", "save": "write to", "save-all": "write all to"}


class TypedLine(Input):
    """A line that takes its keys one after another.

    Of keys that come at once Textual puts in the letters first: those that move, delete and submit find their actions
    a way through the application later.
    """

    ACTIONS: ClassVar[dict[str, str]] = {
        key: one.action for one in Input.BINDINGS if isinstance(one, Binding) for key in one.key.split(",")
    }

    async def _on_key(self, event: events.Key) -> None:
        if (action := self.ACTIONS.get(event.key)) is None:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        await self.run_action(action)


class Prompt(Container):
    """The line, which is there while something is asked for."""

    DEFAULT_CSS = """
    Prompt { height: 1; layout: horizontal; background: $panel; }
    Prompt #asked { width: 14; height: 1; }
    Prompt #typed { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
    """

    @dataclass
    class Typed(Message):
        """Something stands there now, and more may follow."""

        what: str
        text: str

    @dataclass
    class Answered(Message):
        """Something was typed; the line stays until it is closed."""

        what: str
        text: str

    def __init__(self, colours: Callable[[], Colours], **more: Any) -> None:
        super().__init__(**more)
        self._colours = colours
        #: What is asked for; "" for nothing.
        self.what = ""

    def compose(self) -> ComposeResult:
        """Make the widgets."""
        yield Line(self._colours, id="asked")
        yield TypedLine(id="typed", compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        """Begin: nothing is asked for."""
        self.display = False

    def ask(self, what: str, text: str) -> None:
        """Ask for something; `text` stands there at first."""
        self.what = what
        typed = self.query_one("#typed", Input)
        typed.value = text
        typed.cursor_position = len(text)
        self.query_one("#asked", Line).show([(ASKED[what], "accent")])
        self.display = True  # by no class, which counts later
        self.screen.set_focus(typed)  # at once: more keys may be on their way

    def close(self) -> None:
        """Ask for nothing any more."""
        self.what = ""
        self.display = False

    @on(Input.Changed)
    def _typing(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Typed(self.what, event.value.strip()))

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Answered(self.what, event.value.strip()))
