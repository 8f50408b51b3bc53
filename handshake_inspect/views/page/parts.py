"""The style and the scripts of the page, as they are installed: files put one behind the other.

Out: text that stands in one <style> or <script>, and the content security policy that admits these texts alone.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from handshake_inspect.views.page.charts import sections as charts
from handshake_inspect.views.page.embedded import source_hash
from handshake_inspect.views.pictures.html import style_sheet as ladder_css

PACKAGE = "handshake_inspect.views.page"
#: In this order: what a file declares, those behind it use.
STYLES = (
    *(f"css/{name}" for name in ("frame.css", "glance.css", "table.css", "chosen.css")),
    *(f"charts/{name}" for name in charts.STYLES),
    "css/print.css",
)
SCRIPTS = (
    *(
        f"js/{name}"
        for name in ("core.js", "network.js", "filter.js", "order.js", "table.js", "ladder.js", "address.js")
    ),
    *(f"charts/{name}" for name in charts.SCRIPTS),
    "js/page.js",
)
#: Stands in the head, so that nothing is drawn first that is only for readers without scripts.
FIRST_SCRIPT = "js/first.js"


@cache
def style() -> str:
    """Return the style sheet of the page."""
    return "\n".join([ladder_css(), *map(_read, STYLES)])


@cache
def first_script() -> str:
    """Return the script of the head."""
    return _read(FIRST_SCRIPT)


@cache
def script() -> str:
    """Return the script of the page: one function, so that it declares nothing for others."""
    return _alone("\n".join(map(_read, SCRIPTS)))


def policy() -> str:
    """Return the content security policy: nothing is loaded, and no style or script runs but the page's own."""
    scripts = " ".join(source_hash(one) for one in (first_script(), script()))
    own = f"style-src {source_hash(style())}; script-src {scripts}"
    return f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"


def _alone(text: str) -> str:
    return f'(() => {{\n"use strict";\n{text}}})();\n'


@cache
def _read(name: str) -> str:
    return files(PACKAGE).joinpath(name).read_text("utf-8")
