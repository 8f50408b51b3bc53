"""Pages of findings: the docstring of a rule is its page.

In: the code and severity of a rule, its docstring, and the capture that shows it. Out: a `Page`, with the parts of
the docstring under headings: a paragraph that begins `What it means.` comes below that heading, and so on. The caller
chooses the rules.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from handshake_inspect.explain.page import Block, FindingExcerpt, Heading, Page, PageError, Paragraph
from handshake_inspect.explain.reading import read_blocks
from handshake_inspect.explain.topics import normalised
from handshake_inspect.findings.rule import PARTS

SOURCE = PARTS[-1]
LEFT_OUT = "What this means is written in a docstring, and this Python runs without them (-OO, or PYTHONOPTIMIZE=2)."
_PART = re.compile(rf"({'|'.join(map(re.escape, PARTS))}) ?")
#: Several sections of one RFC.
_SECTIONS = re.compile(r"(RFC \d+) §([\d.]+(?:, §[\d.]+)*)")


def finding_page(code: str, severity: str, docstring: str, example: str | None = None) -> Page:
    """Return the page of a finding. Raises PageError if its docstring lacks a part or has them in another order.

    Where Python runs without docstrings, the page says so.
    """
    if not docstring:
        return Page(code, code, "finding", (Paragraph(LEFT_OUT),), severity=severity)
    first, *blocks = read_blocks(code, inspect.cleandoc(docstring).splitlines())
    if not isinstance(first, Paragraph):
        raise PageError(f"{code}: the docstring of a rule begins with a sentence")
    said: list[Block] = []
    parts: list[str] = []
    sources: list[str] = []
    for block in blocks:
        part = _PART.match(block.text) if isinstance(block, Paragraph) else None
        if part is not None and isinstance(block, Paragraph):
            parts.append(part[1])
            block = Paragraph(block.text[part.end() :])
            if part[1] != SOURCE:
                said.append(Heading(part[1].rstrip(".")))
        if parts and parts[-1] == SOURCE:
            sources += _sources(block)
        else:
            said.append(block)
    if tuple(parts) != PARTS:
        raise PageError(f"{code}: the parts of a rule's docstring are {' '.join(PARTS)} Once each, and in this order")
    if example is not None:
        said += [Heading("Example"), FindingExcerpt(example, code)]
    title = f"{code}: {first.text.rstrip('.')}"
    return Page(code, title, "finding", tuple(said), sources=tuple(sources), severity=severity)


def with_findings(written: Iterable[Page], findings: Iterable[Page]) -> list[Page]:
    """Return the written pages with the pages of findings added.

    A finding whose name is that of a page is appended to it; one whose name is another name of a page takes that name
    over, and refers to the page.
    """
    pages = {page.name: page for page in written}
    for finding in findings:
        if finding.name in pages:
            pages[finding.name] = _joined(pages[finding.name], finding)
            continue
        spelled = normalised(finding.name)
        others = [page for page in pages.values() if spelled in map(normalised, page.also)]
        for other in others:
            also = tuple(one for one in other.also if normalised(one) != spelled)
            pages[other.name] = replace(other, also=also)
        pages[finding.name] = replace(finding, see=tuple(other.name for other in others))
    return list(pages.values())


def _joined(page: Page, finding: Page) -> Page:
    blocks = (*page.blocks, Heading(f"As a finding ({finding.severity}), {finding.title}"), *finding.blocks)
    sources = tuple(dict.fromkeys((*page.sources, *finding.sources)))
    return replace(page, blocks=blocks, sources=sources, other_kinds=(finding.kind,), severity=finding.severity)


def _sources(block: Block) -> Iterator[str]:
    """Yield the sources of a paragraph, each section of an RFC separately."""
    for one in block.text.rstrip(".").split(";") if isinstance(block, Paragraph) else ():
        sections = _SECTIONS.fullmatch(one.strip())
        if sections:
            yield from (f"{sections[1]} §{section}" for section in sections[2].split(", §"))
        else:
            yield one.strip()
