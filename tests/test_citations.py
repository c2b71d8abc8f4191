"""What is cited can be found here: each section, row and document that code, tests or documents name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORMAT = ROOT / "docs" / "monitoring-format.md"
CODE = ("agent", "collector", "gui", "resources", "shoveler", "packaging", "tests")

HEADING = re.compile(r"^#{2,3} (\d+(?:\.\d+)?)[. ]", re.MULTILINE)
CITED = re.compile(r"format reference,? \(?(?:sections? )?(\d+(?:\.\d+)?)")
ALONE = re.compile(r"\bsections? (\d+(?:\.\d+)?)")
"""In these packages, and in the reference itself, a section without a document is one of the reference."""
OF_THE_FORMAT = ("collector/wire/", "collector/correlate/", "docs/monitoring-format.md")
DOCUMENT = re.compile(r"(?<![\w./{-])((?:[\w.-]+/)*[A-Za-z][\w-]*\.md)\b")
OUTSIDE = re.compile(r"\.\./(?:shared|reference)|\bshared/(?:captures|cases|reference)|\breference/")


def texts() -> Iterator[tuple[str, str]]:
    """Everything that people read, by its path."""
    for folder in (*CODE, "docs"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".md", ".toml", ".cfg", ".sh") and path != Path(__file__):
                yield str(path.relative_to(ROOT)), path.read_text()
    for path in sorted([*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]):
        yield path.name, path.read_text()


@pytest.fixture(scope="module")
def written() -> list[tuple[str, str]]:
    """Without line breaks and comment signs, so that a citation is whole."""
    return [(path, re.sub(r"\s+(?:# )?", " ", text)) for path, text in texts()]


def test_every_section_of_the_format_that_is_cited_exists(written: list[tuple[str, str]]) -> None:
    sections = set(HEADING.findall(FORMAT.read_text()))
    assert {"3", "6.7", "15"} <= sections
    cited = {(path, number) for path, text in written for number in CITED.findall(text)}
    cited |= {
        (path, number) for path, text in written if path.startswith(OF_THE_FORMAT) for number in ALONE.findall(text)
    }
    assert len(cited) > 20
    assert sorted((path, number) for path, number in cited if number not in sections) == []


def test_every_document_that_is_named_exists(written: list[tuple[str, str]]) -> None:
    missing = []
    for path, text in written:
        pages = (ROOT / "gui" / "pages").iterdir()
        near = (ROOT, ROOT / "docs", ROOT / "docs" / "measurements", ROOT / Path(path).parent, *pages)
        names = [name for name in DOCUMENT.findall(text) if not any((place / name).is_file() for place in near)]
        missing += [(path, name) for name in names]
    assert missing == []


def test_nothing_outside_the_repository_is_cited(written: list[tuple[str, str]]) -> None:
    assert [(path, found) for path, text in written for found in OUTSIDE.findall(text)] == []


def test_every_capture_that_the_format_names_is_here() -> None:
    """Those of 6.1.0 all; of the 5.5.3 captures a few were never kept, as the reference says."""
    text = FORMAT.read_text()
    named = {name for marks in re.findall(r"\[6: ([^\]]*)\]", text) for name in re.findall(r"`([\w-]+)`", marks)}
    here = {path.stem for path in (ROOT / "tests" / "captures" / "6.1.0").glob("*.jsonl")}
    assert len(named) > 5
    assert named - here == set()
