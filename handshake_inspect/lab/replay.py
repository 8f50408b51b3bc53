"""Recorded sessions, for systems on which no real one can be captured: what `demo --replay` shows.

In: the name of a scenario. Out: a `Session` as it was recorded from real sockets. Each is two files in `recorded/`:
NAME.pcap, and NAME.json with the socket calls and how it was recorded. They are made by

    handshake-inspect lab record --calls four-way refused ... -o handshake_inspect/lab/recorded
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.capture.writing.output import write_text
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.lab.calls import SocketCall, call_as_json
from handshake_inspect.lab.scenarios import SCENARIOS, scenario_named
from handshake_inspect.lab.session import Session
from handshake_inspect.lab.vantage import Vantage
from handshake_inspect.lab.world import LabError

RECORDED = resources.files("handshake_inspect.lab") / "recorded"


@dataclass(frozen=True)
class Replay:
    """A recorded session, and where it comes from."""

    session: Session
    #: Under which kernel it was recorded: "Linux 6.18.44".
    kernel: str
    #: The command that recorded it.
    recorded_by: str


def replay_names() -> list[str]:
    """Return the names of the scenarios that are recorded."""
    return [name for name in SCENARIOS if (RECORDED / f"{name}.json").is_file()]


def replay(name: str) -> Replay:
    """Return the recorded session of a scenario. LabError, one line, if there is none."""
    scenario = scenario_named(name)
    if name not in replay_names():
        raise LabError(f"{name}: there is no recorded session of it; recorded are: {', '.join(replay_names())}")
    account = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    frames = _frames((RECORDED / f"{name}.pcap").read_bytes(), name)
    host, port = account["server"]
    seen_at = "loopback" if scenario.network == "loopback" else "client"  # the first vantage point of a session
    session = Session(
        scenario=scenario,
        vantages=(Vantage(seen_at, account["interface"], frames[0].link_type, frames, account["dropped"]),),
        calls=[SocketCall(**call) for call in account["calls"]],
        server=(host, port),
        place="recorded",
    )
    return Replay(session, account["kernel"], account["recorded_by"])


def _frames(octets: bytes, name: str) -> list[RawFrame]:
    with open_capture(io.BytesIO(octets), name=f"{name}.pcap") as opened:
        return [records.raw(row) for records in opened for row in range(len(records))]


def write_replay(session: Session, folder: Path, *, kernel: str, recorded_by: str) -> Path:
    """Write both files of a session into a folder. Returns the path of the capture."""
    name = session.scenario.name
    account: dict[str, Any] = {
        "recorded_by": recorded_by,
        "kernel": kernel,
        "shows": session.scenario.shows,
        "server": list(session.server),
        "interface": session.interface,
        "dropped": session.dropped,
        "calls": [call_as_json(call) for call in session.calls],
    }
    write_text(folder / f"{name}.json", json.dumps(account, indent=1) + "\n")
    path = folder / f"{name}.pcap"
    write_pcap(path, session.frames, session.link_type)
    return path
