"""Where live captures of tests that failed are kept."""

from __future__ import annotations

import re

import pytest

from handshake_inspect.testing.reporting import NAME_CHARACTERS, file_name


@pytest.mark.parametrize("node_id", ["tests/test_echo.py::TestIt::test_it", "test_echo.py::test_it[a=1,2]"])
def test_the_file_of_a_capture_is_named_as_the_test(node_id: str) -> None:
    assert file_name(node_id) in ("tests-test_echo.py-TestIt-test_it", "test_echo.py-test_it-a=1,2")


def test_no_two_tests_have_the_same_file() -> None:
    alike = ["a/b.py::c", "a-b.py::c", "a/b.py::c[d/e]", "a/b.py::c[d-e]", "a/b.py::c[d e]", "a/b.py::c[dé]"]
    alike += [f"a.py::{'b' * 300}", f"a.py::{'b' * 300}c"]
    names = [file_name(one) for one in alike]
    assert len({*names}) == len(alike)
    assert all(re.fullmatch(r"[\w.=+,@\[\]-]+", name, re.ASCII) and len(name) < NAME_CHARACTERS + 12 for name in names)
