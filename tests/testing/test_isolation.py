"""Who may capture, and where: what is said on systems and in processes that are not like this one."""

from __future__ import annotations

import errno
import os
import socket
import sys

import pytest

from handshake_inspect.testing import isolation


@pytest.fixture(autouse=True)
def asked_anew() -> None:
    isolation.why_not_here.cache_clear()


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_elsewhere_nothing_is_tried(
    monkeypatch: pytest.MonkeyPatch, platform: str, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.delattr(socket, "AF_PACKET")
    monkeypatch.delattr(os, "fork")
    assert not isolation.is_to_be_private(is_wanted=True)
    assert isolation.why_it_cannot(request.node, is_wanted=False) == "live capture needs Linux"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EPERM, "this process lacks CAP_NET_RAW"),
        (errno.EAFNOSUPPORT, "there are no packet sockets here: Address family not supported by protocol"),
    ],
)
def test_a_packet_socket_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch, number: int, said: str) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", refuse)
    assert isolation.why_not_here() == said


@pytest.mark.parametrize(
    ("here", "is_wanted", "said"),
    [
        ("", False, ""),
        ("", True, "no world"),
        ("no right", False, "no right, and no world"),
        ("no right", True, "no right, and no world"),
    ],
)
def test_what_stands_in_the_way_is_named(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, here: str, is_wanted: bool, said: str
) -> None:
    monkeypatch.setattr(isolation, "why_not_here", lambda: here)
    monkeypatch.setattr(isolation, "why_no_world", lambda: "no world")
    assert isolation.why_it_cannot(request.node, is_wanted=is_wanted) == said
    assert not isolation.is_to_be_private(is_wanted=is_wanted)


def test_the_category_of_a_warning_is_that_of_python_nearest_to_it() -> None:
    class Ours(ResourceWarning):
        pass

    assert [isolation.builtin_category(one) for one in (Ours, DeprecationWarning)] == [
        "ResourceWarning", "DeprecationWarning",
    ]  # fmt: skip
