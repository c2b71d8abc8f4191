"""What the documents show is true: their Python examples run, and every page can be reached."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\(([^)#:\s]+\.md)\)")


def test_the_examples_of_the_wire_library_run() -> None:
    tried = doctest.testfile(str(ROOT / "docs" / "wire-library.md"), module_relative=False)
    assert tried.attempted > 15
    assert tried.failed == 0


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        waiting += [(page.parent / link).resolve() for link in LINK.findall(page.read_text())]
    pages = {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")}
    assert sorted(str(page.relative_to(ROOT)) for page in pages - seen) == []
