"""The line in which something is typed: a filter, what to find, the name of a file.

In: what to ask for, and the text at first. Out: a message for each change, and one when Enter is pressed.
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

#: What can be asked for, and its label.
ASKED = {"filter": "filter", "find": "find", "save": "write to", "save-all": "write all to"}


class TypedLine(Input):
    """An input line that acts on its keys in the order in which they come.

    If several keys come at once, Textual's own inserts the letters first: the keys that move, delete and submit run
        their actions later, by way of the application.
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
    """The line, visible while something is asked for."""

    DEFAULT_CSS = """
    Prompt { height: 1; layout: horizontal; background: $panel; }
    Prompt #asked { width: 14; height: 1; }
    Prompt #typed { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
    """

    @dataclass
    class Typed(Message):
        """The text has changed, and may change again."""

        what: str
        text: str

    @dataclass
    class Answered(Message):
        """Enter was pressed; the line stays until `close`."""

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
        """Hide the line."""
        self.display = False

    def ask(self, what: str, text: str) -> None:
        """Show the line and ask for something, with this text at first."""
        self.what = what
        typed = self.query_one("#typed", Input)
        typed.value = text
        typed.cursor_position = len(text)
        self.query_one("#asked", Line).show([(ASKED[what], "accent")])
        self.display = True  # by no class, which counts later
        self.screen.set_focus(typed)  # at once: more keys may be on their way

    def close(self) -> None:
        """Hide the line."""
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
