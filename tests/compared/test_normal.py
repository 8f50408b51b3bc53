"""What is the same in every run: of findings, all but the chat that is a matter of times."""

from __future__ import annotations

from handshake_inspect.compared.normal import NOT_OF_EVERY_RUN
from handshake_inspect.findings.catalogue import BY_CODE
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect
from tests.compared.another_run import PCAPS, Run, rerun


def found_of_each(inspection: Inspection) -> list[set[str]]:
    return [{finding.code for finding in one.findings} for one in inspection.connections]


def test_what_is_left_out_is_the_chat_that_comes_and_goes_with_times() -> None:
    """All captures of pcaps/, a thousand times as fast and as slow: no segment is another one, only times are."""
    came_or_went: set[str] = set()
    for path in sorted(PCAPS.glob("*.pcap")):
        if ".server" in path.name:
            continue
        before = found_of_each(inspect(path))
        for pace in ((1, 1000), (1000, 1)):
            after = found_of_each(rerun(path, Run(pace=pace)))
            assert len(after) == len(before)
            came_or_went.update(*(one ^ other for one, other in zip(before, after, strict=True)))
    assert "close-wait-held" in came_or_went
    assert {code for code in came_or_went if BY_CODE[code].code.severity.word == "chat"} == NOT_OF_EVERY_RUN
    assert {BY_CODE[code].code.severity.word for code in NOT_OF_EVERY_RUN} == {"chat"}
    readme = (PCAPS.parent / "README.md").read_text("utf-8")
    assert ", ".join(f"`{code}`" for code in sorted(NOT_OF_EVERY_RUN)) in readme
