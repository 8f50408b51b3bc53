"""Loopback recorded while a block runs: complete, or an error that says what is missing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.expect.places import ExpectationError
from handshake_inspect.lab.world import in_private_world
from handshake_inspect.testing import recording
from handshake_inspect.testing.handshakes import Capture, Handshakes
from handshake_inspect.testing.reporting import UsedCaptures
from tests.lab.privileges import needs_private_world

PORT = 8000


def recorded(path: Path, block: Callable[[Handshakes], None], closing_s: float = 2.0) -> Handshakes:
    needs_private_world()
    capture = Capture({"lo": path / "lo.pcapng"}, live_number="")

    def inside() -> bool:
        with recording.Recording(capture, PORT, closing_s) as seen:
            block(seen)
        return capture.is_going_on

    capture.is_going_on = in_private_world(inside)
    return Handshakes(capture)


def converse(octets: bytes = b"ping", *, server_waits_s: float = 0.0) -> threading.Thread:
    """Talk to a server in a thread, which goes on when this returns: it closes when it has waited."""
    listener = socket.create_server(("127.0.0.1", PORT))

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            while connection.recv(1 << 20):
                pass
            time.sleep(server_waits_s)

    server = threading.Thread(target=serve)
    server.start()
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(octets)
    return server


def test_a_closing_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    seen = recorded(tmp_path, lambda _: [converse(server_waits_s=0.2)].clear())
    assert seen.one.teardown.kind == "four-way"
    half_closed_ns = seen.one.teardown.half_closed_ns
    assert half_closed_ns is not None
    assert half_closed_ns > 150_000_000


def test_the_wait_has_an_end(tmp_path: Path) -> None:
    seen = recorded(tmp_path, lambda _: [converse(server_waits_s=1.0)].clear(), closing_s=0.1)
    assert seen.one.teardown.kind == "half-closed"


def test_nothing_is_told_before_the_end(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="lo: is still being captured; ask after the with block"):
        recorded(tmp_path, lambda seen: [len(seen)].clear())


def lose_frames(_: Handshakes) -> None:
    converse(bytes(4 << 20)).join()


def test_frames_that_were_dropped_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LiveCapture", partial(LiveCapture, ring_octets=1))
    monkeypatch.setattr(recording.Recorder, "_follow", lambda _: None)  # nobody takes frames meanwhile
    with pytest.raises(CaptureError, match=r"lo: \d+ frames dropped while capturing, for want of room: what the test"):
        recorded(tmp_path, lose_frames)


def test_what_goes_wrong_in_the_block_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LiveCapture", partial(LiveCapture, ring_octets=1))
    monkeypatch.setattr(recording.Recorder, "_follow", lambda _: None)

    def lose_and_fail(seen: Handshakes) -> None:
        lose_frames(seen)
        raise CaptureError("of the block")

    with pytest.raises(CaptureError, match="of the block"):
        recorded(tmp_path, lose_and_fail)


@pytest.mark.parametrize("port", ["8000", 65536, -1, True])
def test_no_frame_has_a_port_that_is_none(tmp_path: Path, port: object) -> None:
    """A capture of it would be empty, and whoever expects no connection content."""
    capture = Capture({"lo": tmp_path / "lo.pcapng"}, live_number="")
    with pytest.raises(ExpectationError, match=r"^capture_handshakes\(\): port: expected is a number from 0 to 65535$"):
        recording.Recording(capture, port)  # type: ignore[arg-type]


def test_of_a_capture_that_never_began_nothing_is_reported(tmp_path: Path) -> None:
    """It was said to go on, and where it would be."""
    used = UsedCaptures(Path)
    capture = used.to_be_recorded("lo port 80000", "linux")
    with pytest.raises(ExpectationError) as refused:
        recording.Recording(capture, 80000)
    assert [*used.sections(refused.value, "test_x.py::test_it", tmp_path)] == []
    used.close()
