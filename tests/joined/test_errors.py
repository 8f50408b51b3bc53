"""ICMP errors: named where they were seen."""

from __future__ import annotations

from pathlib import Path

from handshake_inspect.connections.connection import end_names
from handshake_inspect.inspector import inspect
from handshake_inspect.joined.join import join
from handshake_inspect.views.joined_account import account
from handshake_inspect.views.joined_export import joined_object

PCAPS = Path(__file__).parents[2] / "pcaps"


def test_an_error_that_was_forged_on_the_way_was_seen_at_one_place() -> None:
    paths = [PCAPS / f"forged-icmp-error{end}.pcap" for end in ("", ".server")]
    joined = join(*paths)
    (found,) = joined
    expected = [error.frame for connection in inspect(paths[1]).connections for error in connection.icmp_errors]
    assert [(one.frames.first, one.frames.second) for one in found.icmp_errors] == [(None, one) for one in expected]
    assert expected == [8]
    text = " ".join(line.plain for line in account(found, joined.moments(0), width=200, names=end_names("complete")))
    (error,) = found.icmp_errors
    assert f"1 error ({error.error.message}) quoting the server: frame 8 near the server only." in text
    (exported,) = joined_object(found)["icmp_errors"]
    assert (exported["first_frame"], exported["second_frame"]) == (None, 8)


def test_an_error_that_travelled_is_one() -> None:
    """Both places of a way that does nothing have it."""
    path = PCAPS / "unreachable.pcap"
    (found,) = join(path, path)
    errors = [error.frame for connection in inspect(path).connections for error in connection.icmp_errors]
    assert errors
    assert [(one.frames.first, one.frames.second) for one in found.icmp_errors] == [(one, one) for one in errors]
