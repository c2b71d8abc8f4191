"""Lists of test files."""

from __future__ import annotations

import pytest

from gui.campaign.catalogue import CatalogueError, parse_list
from gui.campaign.plan import File


def test_a_list() -> None:
    text = "# ours\n/store/a 10\n\n/store/with space 1KiB\n  /store/a   10  \n"
    assert parse_list(text) == (File("/store/a", 10), File("/store/with space", 1024))


def test_all_problems_with_their_lines() -> None:
    with pytest.raises(CatalogueError) as caught:
        parse_list("/a 1\n/b\n/c x\nd 4\n/a 2\n/e -1\n", name="files.txt")
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        f"files.txt, line {number}" for number in (2, 3, 4, 5, 6)
    ]
    assert "listed twice with different sizes" in str(caught.value)


def test_many_problems_are_not_all_told() -> None:
    with pytest.raises(CatalogueError) as caught:
        parse_list("x\n" * 1000)
    assert str(caught.value).splitlines()[-1] == "… and 980 more."


def test_an_empty_list() -> None:
    with pytest.raises(CatalogueError, match="holds no files"):
        parse_list("# nothing\n")
