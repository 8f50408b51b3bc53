from __future__ import annotations

import base64
import hashlib
import json
import zlib

from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.views.page.embedded import json_for_script, packed, source_hash

ANY_TEXT = st.text(st.characters())


@given(st.dictionaries(ANY_TEXT, st.lists(ANY_TEXT | st.integers() | st.none())))
def test_json_in_a_script_is_the_same_and_cannot_end_it(value: dict[str, list[str | int | None]]) -> None:
    embedded = json_for_script(value)
    assert json.loads(embedded) == value
    assert not set(embedded) & set("<>&\u2028\u2029")


def test_a_file_name_that_is_no_utf_8_can_be_written() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert json.loads(json_for_script([name]).encode()) == [name]


@given(st.lists(ANY_TEXT))
def test_what_is_packed_is_unpacked(texts: list[str]) -> None:
    octets = zlib.decompress(base64.b64decode(packed(texts)), -zlib.MAX_WBITS)
    assert json.loads(octets) == texts


def test_a_source_is_named_by_its_hash() -> None:
    digest = base64.b64encode(hashlib.sha256("ü".encode()).digest()).decode()
    assert source_hash("ü") == f"'sha256-{digest}'"
