"""Makes the README's pictures of the report page: `make pictures`. Needs Chromium and playwright, as the browser tests.

In: recorded captures, by their names from the root of the repository. Out: PNG files in `pictures`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import sync_playwright

from handshake_inspect import inspect
from tests.views.page.making import page_of

PCAPS = Path("pcaps")
#: Where they go.
FOLDER = Path("pictures")
#: Recorded within four seconds: segments lost, repeated and swapped, sockets that open at once, Fast Open.
CAPTURES = (
    "self-connect", "lost-syn", "simultaneous-open", "third-ack-with-data", "unanswered-exponential",
    "lost-third-ack-then-data", "lost-third-ack", "lost-syn-ack", "lost-data", "lost-fin", "lost-rst", "lost-last-ack",
    "cut-in-mid-session", "duplicate-syn", "late-duplicate-syn-ack", "swapped-data", "duplicate-data",
    "fast-open-accepted", "fin-before-data", "duplicate-fin", "fast-open-declined", "fast-open-unknown",
)  # fmt: skip
WIDTH, HEIGHT = 1280, 1010
#: Name -> colours, address, and what stands at the top.
PICTURES: dict[str, tuple[Literal["light", "dark"], str, str]] = {
    "report": ("light", "", "body"),
    "report-ladder": ("dark", "#q=finding:lost-last-ack", "#connections"),
}


def main() -> None:
    """Make them."""
    paths = [PCAPS / f"{name}.pcap" for name in CAPTURES]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = Path(folder, "report.html")
        report.write_text(page_of(inspect(paths), command="handshake-inspect show pcaps"), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (colours, address, top) in PICTURES.items():
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=colours)
            page.goto(f"file://{report}{address}")
            page.wait_for_selector("#ladder .ladder")
            page.evaluate(f"document.querySelector('{top}').scrollIntoView()")
            page.wait_for_timeout(300)
            page.screenshot(path=FOLDER / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
