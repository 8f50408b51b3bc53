"""UDP on a page: a whole exchange, with its calls where it is a recorded session; never a part of one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from handshake_inspect.explain.excerpts import capture_lines, session_lines
from handshake_inspect.explain.page import CaptureExcerpt, PageError, SessionExcerpt


def test_a_session_is_drawn_with_its_calls() -> None:
    lines = [line.plain for line in session_lines(SessionExcerpt("udp", None), 100)]
    assert lines[0].startswith("udp · client 127.0.0.1:")
    assert "from real sockets: handshake-inspect demo udp --replay" in "\n".join(lines[:3])
    (sent,) = [place for place, line in enumerate(lines) if "sendto(b'bith'" in line and line.endswith("▸")]
    (datagram,) = [place for place, line in enumerate(lines) if '4 octets "bith" ─' in line]
    (received,) = [place for place, line in enumerate(lines) if "recvfrom(65535) = b'bith'" in line]
    assert sent < datagram < received


def test_a_capture_is_drawn_without_calls() -> None:
    text = "\n".join(line.plain for line in capture_lines(CaptureExcerpt("udp-unreachable.pcap", None), 100))
    assert "from real sockets: handshake-inspect lab run udp-unreachable" in text
    assert "ICMP port unreachable" in text
    assert "send(" not in text


@pytest.mark.parametrize(
    "draw",
    [
        lambda: session_lines(SessionExcerpt("udp", (1, 1)), 100),
        lambda: capture_lines(CaptureExcerpt("udp.pcap", (1, 2)), 100),
        lambda: capture_lines(CaptureExcerpt("udp.pcap", None, stream=1), 100),
    ],
)
def test_a_part_is_refused(draw: Callable[[], object]) -> None:
    with pytest.raises(PageError, match=r"^udp.*: it has UDP, of which all is shown"):
        draw()
