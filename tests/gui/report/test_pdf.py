from __future__ import annotations

import builtins
import re
import zlib
from typing import Any

import pytest

from gui.reconcile import score
from gui.report import PdfUnavailable, build, find_font, pdf_report
from gui.report.pdf import MAX_ODD
from gui.store import SampleRow, TestSpec


@pytest.fixture
def report(world: Any) -> Any:
    world.begin(TestSpec(1, 300, 300, name="ünïcode → ≠"), name="日本 run")
    asked = world.ask(300)
    world.read(*asked)
    world.record(*asked[:50])
    score(world.store, world.repeat, "settle", world.tick())
    (server,) = world.store.servers()
    world.store.add_samples(world.repeat, [SampleRow(t, server.id, t, t, t // 2) for t in range(100, 120)])
    return build(world.store, world.run)


def text_of(document: bytes) -> str:
    """What the page streams draw with the fonts of every reader."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", document, re.DOTALL)
    unpacked = b"".join(zlib.decompress(s) for s in streams if s[:1] == b"x")
    return " ".join(part.decode("latin-1") for part in re.findall(rb"\((.*?)\) Tj", unpacked))


def test_a_report_is_a_pdf_with_all_its_parts_even_without_a_unicode_font(report: Any) -> None:
    document = pdf_report(report, now=1.0)
    assert document.startswith(b"%PDF-")
    text = text_of(document)
    for word in ("Num. servers", "16.67 %", "missing", "Servers", f"250; {MAX_ODD} listed", "recorded", "name ="):
        assert word in text


def test_a_font_of_the_machine_is_embedded(report: Any) -> None:
    font = find_font()
    assert font is not None, "no Unicode font is installed (apt-get install fonts-dejavu-core)"
    document = pdf_report(report, now=1.0, font=font)
    assert b"/FontFile2" in document


def test_the_same_report_is_the_same_file(report: Any) -> None:
    assert pdf_report(report, now=1.0) == pdf_report(report, now=1.0)


def test_a_run_without_results_is_a_pdf_too(world: Any) -> None:
    world.begin()
    assert pdf_report(build(world.store, world.run)).startswith(b"%PDF-")


def test_without_fpdf2_one_sentence_says_what_to_install(report: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "fpdf":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(PdfUnavailable, match="pip install 'xrootd-tally\\[hub\\]'"):
        pdf_report(report)
