"""Elements of HTML and SVG. The one place of this room where text becomes markup, so that none of a capture ever is.

In: names, attributes, text, other elements. Out: `Markup`.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from handshake_inspect.views.escape import printable

#: What an attribute may be.
Attribute = str | int | float | bool | None


def element(name: str, *children: str | Markup, **attributes: Attribute) -> Markup:
    """Return an element. Children that are no `Markup` are text; a control character in one is written as an escape.

    An attribute is named as in Python, `class_` or `stroke_width`; None or False leaves it out. `viewBox` and others in
    mixed case are written as they are. Numbers have two decimals at most.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is not None and value is not False:
            spelled = "" if value is True else _text(_number(value))
            parts.append(f' {key.rstrip("_").replace("_", "-")}="{spelled}"')
    parts.append(">")
    return Markup("".join([*parts, *map(_text, children), f"</{name}>"]))


def together(parts: Iterable[Markup]) -> Markup:
    """Return elements behind each other."""
    return Markup("").join(parts)


def narrowing(name: str, query: str) -> Markup:
    """Return a name that filters the table of the page, if it is clicked."""
    title = f"Filter the table: {query}"
    return element("button", name, type="button", class_="narrowing", data_narrow=query, title=title)


def plain_table(caption: str, titles: Iterable[str], rows: Iterable[Iterable[str]]) -> Markup:
    """Return the contents of a picture as a table of words and numbers, for readers."""
    head = element("tr", *(element("th", title, scope="col") for title in titles))
    body = together(element("tr", *(element("td", cell) for cell in row)) for row in rows)
    table = element(
        "table", element("caption", caption), element("thead", head), element("tbody", body), class_="plain"
    )
    return element("div", table, class_="plain-scroll")


def _text(value: str | Markup) -> str:
    return value if isinstance(value, Markup) else str(escape(printable(value)))


def _number(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
