"""Data in HTML: as JSON that no text of a capture can break out of, and as packed octets; and hashes for the CSP.

The escaping of ordinary text is jinja2's (`document`): here is what stands in <script> elements that are no script.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

#: What could end a <script> element, begin a comment in it, or end a line of JavaScript.
_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
#: A level less than zlib chooses: half the time, a percent more octets.
LEVEL = 5


def json_for_script(value: Any) -> Markup:
    """Return `value` as JSON that may stand in a <script type="application/json">."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # A lone surrogate, of a file name that is no UTF-8, cannot be written; every other character can.
    return Markup(text.translate(_ESCAPES).encode("utf-8", "backslashreplace").decode())


def packed(value: Sequence[Any]) -> Markup:
    """Return a list as JSON, deflated (RFC 1951), in base64: the page's script unpacks it when it needs one."""
    squeezed = zlib.compressobj(LEVEL, wbits=-zlib.MAX_WBITS)
    octets = squeezed.compress(
        json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")
    )
    return Markup(base64.b64encode(octets + squeezed.flush()).decode())


def source_hash(text: str) -> str:
    """Return how a content security policy names this text of a <style> or <script> (CSP 3 §2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
