"""Inputs that exploring found: each once reached code that no other reached, or broke a target. All must hold today."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


def inputs_of(target: str) -> list[bytes]:
    """Return the inputs kept for a target: a line of base64 each."""
    return [base64.b64decode(line) for line in (CORPUS / f"{target}.txt").read_text().splitlines()]


@pytest.mark.parametrize("target", TARGETS)
def test_what_exploring_found_breaks_nothing(target: str) -> None:
    inputs = inputs_of(target)
    assert len(inputs) > 100
    for octets in inputs:
        TARGETS[target](octets)


def test_every_corpus_belongs_to_a_target() -> None:
    assert {path.stem for path in CORPUS.glob("*.txt")} == {*TARGETS}
