"""The tests of this folder need a private network; each says what else it needs."""

from __future__ import annotations

import pytest

from tests.lab.privileges import needs_private_world


@pytest.fixture
def private_world() -> None:
    needs_private_world()
