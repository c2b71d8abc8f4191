"""HTML in which a text is a text."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from gui.hub.web.markup import Html, h, icon, join


def test_elements() -> None:
    made = h("p", "a < b & c", h("b", "d"), class_="x", data_name='"quoted"', hidden=True, title=None, value=0.5)
    assert made == '<p class="x" data-name="&quot;quoted&quot;" hidden value="0.5">a &lt; b &amp; c<b>d</b></p>'
    assert h("progress", value=3, max=8) == '<progress value="3" max="8"></progress>'
    assert h("br") == "<br>"
    assert join("<", None, Html("<br>")) == "&lt;<br>"


def test_a_text_joined_to_html_is_no_html() -> None:
    """`Html` is a str: what comes of adding to it is not believed."""
    assert h("p", h("b", "x") + "<script>") == "<p>&lt;b&gt;x&lt;/b&gt;&lt;script&gt;</p>"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.titles: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.titles += [value for name, value in attrs if name == "title"]

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(), st.text())
def test_any_text_comes_back_as_it_was(text: str, title: str) -> None:
    reader = _Reader()
    reader.feed(h("p", text, title=title))
    reader.close()
    assert reader.tags == ["p"]
    assert reader.text == text
    assert reader.titles == [title]


def test_icons_are_hidden_from_who_listens() -> None:
    assert 'aria-hidden="true"' in icon("ok", "ok")
    assert 'class="icon ok"' in icon("ok", "ok")
