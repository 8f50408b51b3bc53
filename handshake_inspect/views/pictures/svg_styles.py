"""How a ladder as SVG is coloured: plain rules, and dark ones for a reader who asks for them.

In: the roles of `views.palette` that are drawn. Out: the text in `<style>` and `<defs>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handshake_inspect.views import palette

#: Classes that colour something, and the role of `palette` whose colour it has.
_KINDS = {"syn": "opening", "fin": "closing", "rst": "reset", "plain": "muted"}
_ROLES = {role: role for role in palette.STATES} | _KINDS


def style_sheet() -> str:
    """Return the rules: light by default, dark if the reader prefers that."""
    rules = [
        f".ladder {{ font-family: {palette.FONT}; font-size: 12px; }}",
        f".label, .offer, .payload, .call {{ font-family: {palette.MONO}; }}",
        ".title { font-size: 19px; font-weight: 700; }",
        ".fact { font-size: 13px; }",
        ".name { font-size: 14px; font-weight: 700; }",
        ".state { font-size: 13px; font-weight: 700; }",
        ".basis, .offer, .payload, .call { font-size: 11px; }",
        ".remark { font-size: 11.5px; }",
        ".call { font-style: italic; }",
        ".b { font-weight: 700; }",
        ".end { text-anchor: end; }",
        ".middle { text-anchor: middle; }",
        ".shaft { fill: none; stroke-width: 1.75; }",
        *_colours(palette.LIGHT, ""),
    ]
    dark = " ".join(_colours(palette.DARK, ":root "))
    return "\n".join(rules) + f"\n@media (prefers-color-scheme: dark) {{ {dark} }}\n"


def _colours(colours: dict[str, str], root: str) -> Iterator[str]:
    # Rules of dark begin with :root: a simple reader, who takes a media query for nothing, finds no such element.
    yield f"{root}.ladder text {{ fill: {colours['text']}; }}"
    yield f"{root}.ground {{ fill: {colours['surface']}; stroke: {colours['line']}; }}"
    yield f"{root}.line-only {{ fill: none; stroke: {colours['line']}; }}"
    muted = ".fact, .time, .small, .basis, .offer, .t-muted, .t-chat"
    yield ", ".join(f"{root}.ladder {one}" for one in muted.split(", ")) + f" {{ fill: {colours['muted']}; }}"
    yield f"{root}.ladder .payload {{ fill: {colours['open']}; }}"
    yield f"{root}.ladder .call {{ fill: {colours['accent']}; }}"
    for name, role in _ROLES.items():
        said = colours["text"] if name == "plain" else colours[role]
        yield f"{root}.f-{name} {{ fill: {colours[role]}; }}"
        yield f"{root}.s-{name} {{ stroke: {colours[role]}; }}"
        yield f"{root}.ladder .t-{name} {{ fill: {said}; }}"
    for severity in ("note", "warn", "error"):
        yield f"{root}.ladder .t-{severity} {{ fill: {colours[severity]}; }}"
    for role in palette.STATES:
        yield f"{root}.p-{role} {{ fill: {colours[f'{role}-tint']}; }}"


def patterns(roles: Sequence[str]) -> str:
    """Return the fills of lanes that are assumed, disproved, or by a timer, for these roles."""
    stripes = '<path d="M0 8L10 0V4L5 8zM0 0H5L0 4z" class="f-{role}"/>'
    squares = '<path d="M0 0H5V5H0zM5 5H10V10H5z" class="f-reset"/>'
    drawn = {
        "assumed": (8, f'<rect width="10" height="8" class="p-{{role}}"/>{stripes}'),
        "disproved": (10, f'<rect width="10" height="10" class="p-{{role}}"/>{squares}'),
        "timer": (8, '<rect width="10" height="3.5" class="f-{role}"/>'),
    }
    return "".join(
        f'<pattern id="{pattern}-{role}" width="10" height="{height}" patternUnits="userSpaceOnUse">'
        f"{inside.format(role=role)}</pattern>\n"
        for pattern, (height, inside) in drawn.items()
        for role in roles
    )
