"""Numbers that have bounds, and how a help names them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner

from handshake_inspect.cli import cli
from handshake_inspect.cli.bounds import PORT, OneStream, Seconds, Whole

CONTEXT, OPTION = click.Context(click.Command("x")), click.Option(["--x"])


def helps(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words that call each command, those below others too."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from helps(below, (*path, name))


@pytest.mark.parametrize("path", list(helps()), ids=" ".join)
def test_a_help_says_bounds_in_words(path: tuple[str, ...]) -> None:
    """`[0 to 65535]`, once: not `[0<=x<=65535]`, as Click does."""
    shown = " ".join(CliRunner().invoke(cli, [*path, "--help"]).output.split())
    assert "<=x" not in shown
    assert "x>" not in shown
    assert shown.count("[64 to 262144]") == (path == ("sniff",))


@pytest.mark.parametrize(
    ("bounds", "text", "said"),
    [
        (PORT, "65536", "65536 is not in the range 0 to 65535."),
        (PORT, "http", "'http' is not a valid integer."),
        (Whole(min=1), "0", "0 is not in the range 1 or more."),
        (OneStream("A"), "0-1", "'0-1' is a list, and one connection is wanted here: A"),
        (OneStream("A"), "3,", "'3,' is a list, and one connection is wanted here: A"),
        (OneStream("A"), "-1", "-1 is not in the range 0 or more."),
        (OneStream("A"), "first", "'first' is not a valid integer."),
        (Seconds(min=0, min_open=True), "0", "0.0 is not in the range more than 0."),
        (Seconds(0.001, 86400), "0", "0.0 is not in the range 0.001 to 86400."),
        (Seconds(min=0, min_open=True), "soon", "'soon' is not a valid number."),
    ],
)
def test_what_is_out_of_bounds_is_refused_with_the_bounds(bounds: Any, text: str, said: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        bounds.convert(text, OPTION, CONTEXT)
    assert refused.value.message == said


@pytest.mark.parametrize("bounds", [Seconds(min=0, min_open=True), Seconds(0.001, 86400)])
@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "inf", "-inf", "-1", "soon"])
def test_what_is_no_time_to_wait_is_refused(text: str, bounds: Seconds) -> None:
    assert bounds.convert("0.5", OPTION, CONTEXT) == 0.5
    with pytest.raises(click.BadParameter):
        bounds.convert(text, OPTION, CONTEXT)
