"""Which session tag asks for which path."""

from __future__ import annotations

import pytest

from gui.campaign.tags import TagBook, TagUse


def test_a_path_again_takes_the_next_tag() -> None:
    book = TagBook()
    uses = [book.use("c1", 0, "s", path) for path in ("/a", "/b", "/a", "/b", "/a", "/c")]
    assert [use.ordinal for use in uses] == [0, 0, 1, 1, 2, 0]
    fresh = book.missing(uses)
    assert fresh == [TagUse("c1", 0, "s", ordinal) for ordinal in (0, 1, 2)]
    book.supply(fresh, ["t0", "t1", "t2"])
    assert [book.tag(use) for use in uses] == ["t0", "t0", "t1", "t1", "t2", "t0"]
    assert book.missing(uses) == []


def test_agents_slots_and_servers_have_tags_of_their_own() -> None:
    book = TagBook()
    uses = [book.use(*owner, "/a") for owner in (("c1", 0, "s"), ("c1", 1, "s"), ("c2", 0, "s"), ("c1", 0, "s2"))]
    assert len(set(uses)) == 4


def test_too_few_tags_are_an_error_of_ours() -> None:
    book = TagBook()
    use = book.use("c1", 0, "s", "/a")
    with pytest.raises(ValueError, match="zip"):
        book.supply([use], [])
    with pytest.raises(KeyError):
        book.tag(use)
