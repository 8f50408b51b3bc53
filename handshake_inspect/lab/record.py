"""Record scenarios into a folder of captures, with a page that says what each one shows and what must be found in it.

    python -m handshake_inspect.lab.record four-way -o pcaps
    python -m handshake_inspect.lab.record --all -o pcaps
    python -m handshake_inspect.lab.record --calls four-way refused -o handshake_inspect/lab/recorded

In: names of scenarios. Out: `NAME.pcap` (nanoseconds, Ethernet frames, each segment once) and a `README.md`
whose two tables tests parse: one line per capture. With `--calls`, for `demo --replay`: `NAME.json` with the socket
calls and where the recording comes from, and no page. A recording in which the kernel did not close as the scenario
says (a very busy machine delays the programs) or in which frames were dropped is made again.
"""

from __future__ import annotations

import platform
import struct
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from handshake_inspect.capture.frames import write_pcap
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.lab.replay import write_replay
from handshake_inspect.lab.scenarios import ALL, SCENARIOS, Scenario, scenario_named
from handshake_inspect.lab.session import TCP, DemoSession, run_demo, transport_of
from handshake_inspect.lab.world import LabError

#: How often a scenario is tried before the machine is called too busy.
ATTEMPTS = 4
#: Control bits of octet 13 of the TCP header, lowest first.
CONTROL_BITS = ("FIN", "SYN", "RST", "PSH", "ACK")

TCP_HEADING = "| file | recorded by | kernel | shows | handshake | teardown | closed first | originator | responder |"
UDP_HEADING = "| file | recorded by | kernel | shows | must be found |"
PAGE = """# Recorded captures

Each was recorded from real sockets by the command in its line (in network namespaces of its own, so the only frames
are those of its two programs); `python -m handshake_inspect.lab.record --all -o pcaps` records them all anew. Times
are the kernel's, in nanoseconds; each segment of loopback is there once. The expected verdicts follow from what the
programs do and from RFC 9293: they are written in `handshake_inspect/lab/scenarios.py`, not taken from this
project's engine. `-` is null: there was none, or the capture cannot tell. A test checks every line, and that no
capture here is without one.

## TCP

{tcp}

## UDP

{udp}
"""


def record(name: str, folder: Path, *, calls: bool = False) -> Path:
    """Record one scenario as `folder`/NAME.pcap and return that path; with `calls` also its socket calls.

    LabError if the machine is too busy.
    """
    session = recorded(name)
    if calls:
        command = f"python -m handshake_inspect.lab.record --calls {name} -o handshake_inspect/lab/recorded"
        return write_replay(session, folder, kernel=kernel_name(), recorded_by=command)
    path = folder / f"{name}.pcap"
    write_pcap(path, session.frames, session.link_type)
    return path


def kernel_name() -> str:
    """Name this kernel: "Linux 6.18.44"."""
    return f"{platform.system()} {platform.release().split('-')[0]}"


def recorded(name: str) -> DemoSession:
    """Run a scenario until it closes as planned. LabError if the machine is too busy."""
    scenario = scenario_named(name)
    for _ in range(ATTEMPTS):
        session = run_demo(scenario)
        if session.dropped == 0 and (scenario.closing is None or closing_of(session) == scenario.closing):
            return session
    raise LabError(f"{name}: the kernel did not close as planned in {ATTEMPTS} attempts: is the machine busy?")


def closing_of(session: DemoSession) -> tuple[str, ...]:
    """Return the control bits of the segments of a TCP session, from the first FIN or RST on."""
    flags: list[str] = []
    for frame in session.frames:
        protocol, header = transport_of(frame.octets) or (0, b"")
        if protocol == TCP and len(header) >= 20:
            (bits,) = struct.unpack_from("!B", header, 13)
            names = [name for number, name in enumerate(CONTROL_BITS) if bits >> number & 1]
            if flags or "FIN" in names or "RST" in names:
                flags.append(",".join(names))
    return tuple(flags)


def write_page(folder: Path, kernels: Mapping[str, str]) -> None:
    """Write the page of all captures in `folder`; `kernels` says under which each was recorded."""
    there = [scenario for scenario in ALL if (folder / f"{scenario.name}.pcap").exists()]
    tcp = [tcp_line(scenario, kernels) for scenario in there if scenario.verdict]
    udp = [udp_line(scenario, kernels) for scenario in there if not scenario.verdict]
    page = PAGE.format(tcp=table(TCP_HEADING, tcp), udp=table(UDP_HEADING, udp))
    (folder / "README.md").write_text(page, encoding="utf-8")


def table(heading: str, lines: Iterable[str]) -> str:
    """Put a Markdown table together."""
    rule = "|" + "---|" * (heading.count("|") - 1)
    return "\n".join([heading, rule, *lines])


def tcp_line(scenario: Scenario, kernels: Mapping[str, str]) -> str:
    """Return the line of a TCP capture."""
    verdict = scenario.verdict
    assert verdict is not None
    cells = [
        *first_cells(scenario, kernels),
        verdict.handshake,
        verdict.teardown,
        verdict.closed_first or "-",
        " > ".join(verdict.originator or ("-",)),
        " > ".join(verdict.responder or ("-",)),
    ]
    return f"| {' | '.join(cells)} |"


def udp_line(scenario: Scenario, kernels: Mapping[str, str]) -> str:
    """Return the line of a UDP capture."""
    return f"| {' | '.join([*first_cells(scenario, kernels), scenario.exchange or '-'])} |"


def first_cells(scenario: Scenario, kernels: Mapping[str, str]) -> list[str]:
    """Return the cells that both tables begin with."""
    file = f"{scenario.name}.pcap"
    command = f"`python -m handshake_inspect.lab.record {scenario.name} -o pcaps`"
    return [file, command, kernels.get(file, "-"), scenario.shows]


def lines_of_page(path: Path) -> list[dict[str, str]]:
    """Return the lines of both tables of a page, each as cell by heading; [] if there is no page yet."""
    if not path.exists():
        return []
    found: list[dict[str, str]] = []
    heading: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line in (TCP_HEADING, UDP_HEADING):
            heading = cells
        elif line.startswith("| ") and heading:
            found.append(dict(zip(heading, cells, strict=True)))
    return found


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Record every scenario.")
@click.option("--calls", is_flag=True, help="Also write NAME.json, the socket calls, for `demo --replay`; no page.")
@click.option(
    "-o",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the captures and their page.",
)
def main(names: tuple[str, ...], everything: bool, calls: bool, folder: Path) -> None:
    """Record scenarios with real sockets, as NAME.pcap each. Without a NAME: list them."""
    chosen = tuple(SCENARIOS) if everything else names
    if not chosen:
        for scenario in ALL:
            click.echo(f"{scenario.name:16} {scenario.shows}")
        return
    folder.mkdir(parents=True, exist_ok=True)
    kernels = {line["file"]: line["kernel"] for line in lines_of_page(folder / "README.md")}
    try:
        for name in chosen:
            path = record(name, folder, calls=calls)
            kernels[path.name] = kernel_name()
            click.echo(str(path))
    except (LabError, CaptureError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    finally:
        if not calls:
            write_page(folder, kernels)


if __name__ == "__main__":
    main()
