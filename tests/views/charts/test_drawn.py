"""No text becomes markup, whatever it is."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from handshake_inspect.views.escape import printable
from handshake_inspect.views.page.charts.drawn import element, plain_table, together

HOSTILE = "</text><script>alert(1)</script>\x1b[2J\u202e\"' onload=alert(1) x='"


@given(st.text(), st.text())
def test_text_and_attributes_come_back_as_they_were(text: str, value: str) -> None:
    found = ElementTree.fromstring(element("p", text, title=value))
    assert (found.text or "") == printable(text).replace("\r", "\n")
    assert found.attrib["title"] == printable(value)


def test_hostile_text_stays_text_wherever_it_stands() -> None:
    table = plain_table(HOSTILE, [HOSTILE], [[HOSTILE]])
    found = ElementTree.fromstring(together([table]))
    assert not list(found.iter("script"))
    assert "\x1b" not in table and "\u202e" not in table
    assert [cell.text for cell in found.iter("td")] == [printable(HOSTILE)]


def test_attributes_are_spelled_as_html_spells_them() -> None:
    drawn = element("line", class_="a", stroke_width=1.5, x1=0, x2=2.0, y1=1.23456, hidden=True, role=None, viewBox="0")
    expected = '<line class="a" stroke-width="1.5" x1="0" x2="2" y1="1.23" hidden="" viewBox="0"></line>'
    assert drawn == expected


def test_markup_stays_markup() -> None:
    assert element("p", Markup("<b>1</b>"), " < 2") == "<p><b>1</b> &lt; 2</p>"
