"""The palette: every state has a colour, and words can be read in it."""

from __future__ import annotations

import pytest

from handshake_inspect.tcp.states import State
from handshake_inspect.views.palette import DARK, LIGHT, STATE_ROLES, STATES, css

#: WCAG 2.2, 1.4.3 (AA) and 1.4.6 (AAA).
AA, AAA = 4.5, 7.0


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_every_state_has_a_role() -> None:
    assert set(STATE_ROLES) == {state.label for state in State}
    assert set(STATE_ROLES.values()) <= set(STATES)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_words_can_be_read(colours: dict[str, str]) -> None:
    for ground in ("bg", "surface", "raised"):
        assert contrast(colours["text"], colours[ground]) >= AAA
        for role in (*STATES, "muted", "accent", "chat", "note", "warn", "error"):
            assert contrast(colours[role], colours[ground]) >= AA, (role, ground)
    for role in STATES:
        assert contrast(colours["text"], colours[f"{role}-tint"]) >= AAA, role
        assert contrast(colours[role], colours[f"{role}-tint"]) >= AA, role


def test_light_and_dark_have_the_same_roles() -> None:
    assert LIGHT.keys() == DARK.keys()


def test_the_style_sheet_names_every_colour() -> None:
    written = css()
    for role, colour in (LIGHT | DARK).items():
        assert f"--{role}: {colour};" in written
    assert "</" not in written  # it stands in a <style>
