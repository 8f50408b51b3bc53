"""Options that several commands share, each written once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("table", "json", "ndjson", "csv", "zeek", "markdown")


def files_argument(function: F) -> F:
    """FILE...: captures; `-` is standard input."""
    return click.argument("files", metavar="FILE...", nargs=-1, required=True)(function)


def reader_option(function: F) -> F:
    """--reader."""
    return click.option(
        "--reader",
        type=click.Choice(["auto", "scapy"]),
        default="auto",
        show_default=True,
        help="Who reads and dissects: ourselves with Scapy's help, or Scapy alone.",
    )(function)


def selection_options(function: F) -> F:
    """--where, --host, --port: which connections."""
    for option in (
        click.option("--port", type=click.IntRange(0, 65535), help="Only connections of this port."),
        click.option("--host", metavar="IP[/LEN]", help="Only connections of this address or network."),
        click.option(
            "--where",
            metavar="EXPR",
            help="Only connections of which this is true: fields of the JSON, == != < <= > >= in, and or not.",
        ),
    ):
        function = option(function)
    return function


def ladder_options(function: F) -> F:
    """--numbers, --time, --payload, --all: how the ladder looks."""
    for option in (
        click.option("--all", "show_all", is_flag=True, help="Show every segment; do not fold long transfers."),
        click.option(
            "--payload",
            "payload_octets",
            type=click.IntRange(0, 65535),
            default=16,
            show_default=True,
            metavar="N",
            help="Show the first N octets of each payload.",
        ),
        click.option(
            "--time",
            "clock",
            type=click.Choice(["relative", "utc", "local"]),
            default="relative",
            show_default=True,
            help="Times since the start, or of day.",
        ),
        click.option(
            "--numbers",
            type=click.Choice(["symbolic", "relative", "absolute"]),
            default="symbolic",
            show_default=True,
            help="Sequence numbers as letters, counted from the SYN, or as in the header.",
        ),
    ):
        function = option(function)
    return function
