"""The colours of everything that is drawn: page, pictures, charts, live screen. One place, light and dark.

Out: colours by role, and the style sheet that names them as custom properties, so that a switch recolours all. States
are told by a word or a shape too, never by colour alone. The hues stay apart for people who cannot tell red from green
(they differ in lightness, and none but red and violet is reddish); words in them have a contrast of 4.5:1 at least.
"""

from __future__ import annotations

from collections.abc import Iterator

#: State, as RFC 9293 spells it -> the role whose colour it has.
STATE_ROLES = {
    "CLOSED": "idle",
    "LISTEN": "idle",
    "SYN-SENT": "opening",
    "SYN-RECEIVED": "opening",
    "ESTABLISHED": "open",
    "FIN-WAIT-1": "closing",
    "FIN-WAIT-2": "closing",
    "CLOSE-WAIT": "closing",
    "CLOSING": "closing",
    "LAST-ACK": "closing",
    "TIME-WAIT": "waiting",
}
#: Kind -> the role of the palette whose colour it has; what is not named here is "unknown".
OPENING_ROLES = {
    **dict.fromkeys(("three-way", "fast-open", "simultaneous-open", "self-connect"), "open"),
    **dict.fromkeys(("refused", "unreachable", "abandoned", "invalid"), "reset"),
    **dict.fromkeys(("half-open", "unanswered"), "opening"),
}
CLOSING_ROLES = {
    **dict.fromkeys(("four-way", "three-segment", "simultaneous-close"), "waiting"),
    **dict.fromkeys(("reset-after-fin", "aborted"), "reset"),
    **dict.fromkeys(("half-closed", "incomplete"), "closing"),
    "open": "open",
    "none": "idle",
}
#: Roles that are drawn as lines and words, and as areas: these have a tint.
STATES = ("idle", "opening", "open", "closing", "waiting", "reset", "unknown")

LIGHT = {
    "bg": "#f7f8fa",
    "surface": "#ffffff",
    "raised": "#eef1f5",
    "text": "#17202b",
    "muted": "#55606e",
    "line": "#d5dbe3",
    "accent": "#1a56b8",
    "idle": "#5a6472",
    "opening": "#1a5fc0",
    "open": "#0b6e4a",
    "closing": "#a34700",
    "waiting": "#7a35b8",
    "reset": "#bd1328",
    "unknown": "#6a6152",
    "idle-tint": "#e9ecf0",
    "opening-tint": "#dce9fc",
    "open-tint": "#d7f1e4",
    "closing-tint": "#fde8d2",
    "waiting-tint": "#eee2fa",
    "reset-tint": "#fde0e2",
    "unknown-tint": "#efece4",
    "chat": "#55606e",
    "note": "#1a5fc0",
    "warn": "#a34700",
    "error": "#bd1328",
}
DARK = {
    "bg": "#11161d",
    "surface": "#181f28",
    "raised": "#222b36",
    "text": "#e6ebf1",
    "muted": "#a3aebb",
    "line": "#34404e",
    "accent": "#84b5ff",
    "idle": "#a3aebb",
    "opening": "#7db2ff",
    "open": "#4fcf9c",
    "closing": "#ffab5e",
    "waiting": "#cba2ff",
    "reset": "#ff8585",
    "unknown": "#bdb29c",
    "idle-tint": "#29323d",
    "opening-tint": "#1c3152",
    "open-tint": "#143a2d",
    "closing-tint": "#452c14",
    "waiting-tint": "#382656",
    "reset-tint": "#4c2127",
    "unknown-tint": "#35312a",
    "chat": "#a3aebb",
    "note": "#7db2ff",
    "warn": "#ffab5e",
    "error": "#ff8585",
}
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", "Liberation Sans", sans-serif'
MONO = 'ui-monospace, "SF Mono", "Cascadia Mono", "Segoe UI Mono", "DejaVu Sans Mono", "Liberation Mono", monospace'


def css() -> str:
    """Return the style sheet of the palette.

    Colours are those that the reader's system asks for, unless `<html data-theme>` says "light" or "dark"; paper is
    light.
    """
    return "\n".join(_rules())


def _rules() -> Iterator[str]:
    light, dark = _properties(LIGHT), _properties(DARK)
    yield f":root {{ color-scheme: light; --font: {FONT}; --mono: {MONO}; {light} }}"
    yield f':root[data-theme="dark"] {{ color-scheme: dark; {dark} }}'
    yield (
        f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ color-scheme: dark; {dark} }} }}'
    )
    yield f"@media print {{ :root:root:root {{ color-scheme: light; {light} }} }}"
    for role in STATES:
        yield f".state-{role} {{ color: var(--{role}); }}"


def _properties(colours: dict[str, str]) -> str:
    return " ".join(f"--{role}: {colour};" for role, colour in colours.items())
