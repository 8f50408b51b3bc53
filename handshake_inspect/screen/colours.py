"""The palette as styles of a terminal: light, dark, or without any colour.

In: which of them, and whether to use colour (NO_COLOR). Out: a `rich` style for each role of `views.palette`, a theme
for Textual, and the values of the ANSI colours that other views use.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from rich.style import Style
from rich.terminal_theme import TerminalTheme
from textual.theme import Theme

from handshake_inspect.views.palette import DARK, LIGHT, STATE_ROLES

#: Roles that are always bold, and those that are faint where there is no colour.
STRONG = ("waiting", "reset", "error")
FAINT = ("muted", "idle", "chat", "line")
#: The theme without colour, one of Textual's own: under NO_COLOR it leaves the terminal's colours as they are.
PLAIN = "ansi-dark"
#: The ground of what is selected.
SELECTED = "opening-tint"
#: What the eight colours of a terminal mean in the text of other views.
ANSI_ROLES = ("line", "reset", "open", "closing", "opening", "waiting", "opening", "text")
BRIGHT_ROLES = ("idle", "reset", "open", "closing", "accent", "waiting", "opening", "text")


@dataclass(frozen=True)
class Colours:
    """The colours of one theme."""

    is_dark: bool = True
    #: False: bold, faint, underlined and reversed text alone.
    has_colour: bool = True

    @property
    def name(self) -> str:
        """The name of the theme."""
        return ("dark" if self.is_dark else "light") if self.has_colour else PLAIN

    @cached_property
    def _palette(self) -> dict[str, str]:
        return DARK if self.is_dark else LIGHT

    @cached_property
    def _styles(self) -> dict[str, Style]:
        names = [*self._palette, "bold", ""]
        return {name: self._style(name) for name in names}

    def style(self, role: str) -> Style:
        """Return the style of a role; "" has none, "bold" is no colour."""
        return self._styles[role]

    def on(self, ground: str) -> Style:
        """Return the style of a background: of the selected line, of a heading."""
        if not self.has_colour:
            return Style(reverse=True) if ground == "selected" else Style(bold=True)
        return Style(color=self._palette["text"], bgcolor=self._palette[SELECTED if ground == "selected" else ground])

    def state(self, state: str | None) -> str:
        """Return the role of a state."""
        return STATE_ROLES.get(state or "", "unknown")

    def _style(self, role: str) -> Style:
        is_strong = role in STRONG or role == "bold"
        if not self.has_colour or role in ("", "bold"):
            return Style(bold=is_strong or None, dim=(role in FAINT) or None)
        return Style(color=self._palette[role], bold=(role in STRONG) or None)

    def theme(self) -> Theme:
        """Return the theme for what Textual draws itself."""
        colours = self._palette
        return Theme(
            self.name,
            primary=colours["accent"],
            foreground=colours["text"],
            background=colours["bg"],
            surface=colours["surface"],
            panel=colours["raised"],
            accent=colours["accent"],
            warning=colours["warn"],
            error=colours["error"],
            success=colours["open"],
            dark=self.is_dark,
            variables={
                "scrollbar": colours["line"],
                "scrollbar-hover": colours["muted"],
                "scrollbar-active": colours["accent"],
                "scrollbar-background": colours["bg"],
                "scrollbar-background-hover": colours["bg"],
                "scrollbar-background-active": colours["bg"],
                "scrollbar-corner-color": colours["bg"],
            },
        )

    def ansi(self) -> TerminalTheme:
        """Return the values of the ANSI colours in this theme."""
        return TerminalTheme(
            _rgb(self._palette["bg"]),
            _rgb(self._palette["text"]),
            [_rgb(self._palette[role]) for role in ANSI_ROLES],
            [_rgb(self._palette[role]) for role in BRIGHT_ROLES],
        )


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
