"""Sizes and spans of time as options take them."""

from __future__ import annotations

import sys

import click
import pytest

from handshake_inspect import memory
from handshake_inspect.capture.live.ring import BLOCK_OCTETS, FEWEST_BLOCKS, RING_OCTETS
from handshake_inspect.cli.amounts import RING_BLOCK_OCTETS, RING_OCTETS_MIN, ring_size, size, sizes_and_spans

CONTEXT, OPTION = click.Context(click.Command("x")), click.Option(["--x"])


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("64MB", 64_000_000),
        ("64 MiB", 64 << 20),
        ("1.5k", 1500),
        ("0.1", 1),
        ("2GB", 2 * 10**9),
        ("4096", 4096),
        ("1gib", 1 << 30),
    ],
)
def test_a_size_is_read_as_octets(text: str, octets: int) -> None:
    assert size(CONTEXT, OPTION, text) == octets


@pytest.mark.parametrize("text", ["", "much", "1.2.3MB", "-1MB", "5 apples", "MB", "1e6", "0", "0.0MB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no size; write 64MB"):
        size(CONTEXT, OPTION, text)


def test_a_ring_has_whole_blocks_and_at_least_as_many_as_it_needs() -> None:
    assert (RING_BLOCK_OCTETS, RING_OCTETS_MIN) == (BLOCK_OCTETS, FEWEST_BLOCKS * BLOCK_OCTETS)
    assert ring_size(CONTEXT, OPTION, "64MiB") == 64 << 20
    assert ring_size(CONTEXT, OPTION, "1MiB") == 1 << 20
    assert ring_size(CONTEXT, OPTION, "1.1MiB") == 3 << 19
    for text in ("1", "1MB", "1048575"):
        with pytest.raises(click.BadParameter, match=f"'{text}' is less than 1MiB, the smallest there is"):
            ring_size(CONTEXT, OPTION, text)


def test_a_ring_takes_at_most_4_gib_and_half_of_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 100 GB kept a core in the kernel for minutes, until the watchdog spoke."""
    monkeypatch.setattr(memory, "available_octets", lambda: 16 << 30)
    assert ring_size(CONTEXT, OPTION, "4GiB") == 4 << 30
    with pytest.raises(click.BadParameter, match="'5GiB' is more than 4GiB, the largest there is"):
        ring_size(CONTEXT, OPTION, "5GiB")
    monkeypatch.setattr(memory, "available_octets", lambda: 1 << 30)
    assert ring_size(CONTEXT, OPTION, "512MiB") == 512 << 20
    with pytest.raises(click.BadParameter, match="'513MiB' is more than half of the memory that is free: take 512MiB"):
        ring_size(CONTEXT, OPTION, "513MiB")
    monkeypatch.setattr(memory, "available_octets", lambda: 0)
    assert ring_size(CONTEXT, OPTION, "64MiB") == RING_OCTETS, "the default is never refused"


def test_the_free_memory_is_that_of_the_system() -> None:
    assert 0 < memory.available_octets() <= sys.maxsize


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ((), (None, None)),
        (("100MB",), (100_000_000, None)),
        (("1h",), (None, 3600)),
        (("90s", "1.5GiB"), (3 << 29, 90)),
        (("1d",), (None, 86_400)),
        (("15min",), (None, 900)),
    ],
)
def test_a_size_and_a_span_are_told_apart(texts: tuple[str, ...], found: tuple[int | None, int | None]) -> None:
    assert sizes_and_spans(CONTEXT, OPTION, texts) == found


@pytest.mark.parametrize("texts", [("100",), ("1 week",), ("1h", "2h"), ("1MB", "2MB"), ("5ms",), ("0MB",), ("0s",)])
def test_what_is_neither_or_twice_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(click.BadParameter):
        sizes_and_spans(CONTEXT, OPTION, texts)
