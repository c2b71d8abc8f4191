from __future__ import annotations

import builtins
import re
import zlib
from typing import Any

import pytest

from gui.pages.result.presenter import write_report
from gui.reconcile import score
from gui.report import PdfUnavailableError, build, pdf_report, render
from gui.store import MarkerRow, SampleRow, TestSpec


@pytest.fixture
def report(world: Any) -> Any:
    world.begin(TestSpec(1, 300, 300, name="ünïcode → ≠"), name="日本 run", where="Genève")
    asked = world.ask(300)
    world.read(*asked)
    world.record(*asked[:50])
    score(world.store, world.repeat, "settle", world.tick())
    (server,) = world.store.servers()
    world.store.add_samples(world.repeat, [SampleRow(t, server.id, t, t, t // 2) for t in range(100, 120)])
    world.store.add_note(world.run, "ada", "The broker was patched.", world.now)
    world.store.add_marker(world.run, MarkerRow(world.now, "fault", "broker-down"))
    return build(world.store, world.run)


def pages_of(document: bytes) -> list[str]:
    """What each page draws, by the embedded font's own table of signs."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", document, re.DOTALL)
    unpacked = [zlib.decompressobj().decompress(s) if s[:1] == b"x" else s for s in streams]
    signs: dict[int, str] = {}
    for stream in unpacked:
        for block in re.findall(rb"beginbfchar(.*?)endbfchar", stream, re.DOTALL):
            for code, sign in re.findall(rb"<([0-9A-Fa-f]+)> <([0-9A-Fa-f]+)>", block):
                signs[int(code, 16)] = bytes.fromhex(sign.decode()).decode("utf-16-be")
    pages = []
    for stream in unpacked:
        if b" Tf" not in stream:
            continue
        words = []
        for part in re.findall(rb"\(((?:\\.|[^\\)])*)\) Tj", stream, re.DOTALL):
            raw = re.sub(rb"\\(.)", lambda m: {b"r": b"\r", b"n": b"\n"}.get(m[1], m[1]), part, flags=re.DOTALL)
            words.append("".join(signs.get(int.from_bytes(raw[at : at + 2]), "") for at in range(0, len(raw), 2)))
        pages.append(" ".join(" ".join(words).split()))
    return pages


def test_a_document_says_what_the_page_says(report: Any) -> None:
    document = pdf_report(report, now=1.0)
    assert document.startswith(b"%PDF-")
    text = " ".join(pages_of(document))
    for word in (
        "ünïcode → ≠", "16.67 %", "− missing", "Servers", "Requests that are not matched (250)", "neither shoveler",
        "/store/test/f0300.root", "broker-down", "The broker was patched.", "Genève", "recorded", "name =", "Median",
    ):  # fmt: skip
        assert word in text, word


def test_pages_are_numbered_and_dated(report: Any) -> None:
    document = pdf_report(report, now=1_760_000_000.0)
    pages = pages_of(document)
    assert len(pages) > 3
    for number, page in enumerate(pages, 1):
        assert f"page {number} of {len(pages)}" in page
        assert "made 2025-10-09T08:53:20Z" in page
    assert b"/CreationDate (D:20251009085320" in document


def test_the_date_is_that_of_its_making_where_nobody_says_another(report: Any) -> None:
    assert b"/CreationDate (D:1970" not in render(report, "pdf")


def test_a_font_is_embedded_for_every_caller(report: Any, world: Any, tmp_path: Any) -> None:
    write_report(world.store, world.run, tmp_path / "report.pdf")
    for document in (pdf_report(report), render(report, "pdf"), (tmp_path / "report.pdf").read_bytes()):
        assert b"/FontFile2" in document
        assert b"Helvetica" not in document


def test_signs_that_the_font_lacks_are_shown_as_such(report: Any) -> None:
    assert "?? run" in pages_of(pdf_report(report, now=1.0))[0]


def test_the_same_report_is_the_same_file(report: Any) -> None:
    assert pdf_report(report, now=1.0) == pdf_report(report, now=1.0)


def test_a_run_without_results_is_a_pdf_too(world: Any) -> None:
    world.begin()
    assert pdf_report(build(world.store, world.run)).startswith(b"%PDF-")


def test_a_path_without_an_end_stays_on_its_page(world: Any) -> None:
    world.begin(TestSpec(1, 40, 40))
    world.read(*world.ask(40, paths=[f"/{'x' * 5000}{n}" for n in range(40)]))
    score(world.store, world.repeat, "settle", world.tick())
    pages = pages_of(pdf_report(build(world.store, world.run), now=1.0))
    assert 2 <= len(pages) <= 12


def test_without_fpdf2_one_sentence_says_what_to_install(report: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "fpdf":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(PdfUnavailableError, match="pip install 'xrootd-tally\\[hub\\]'"):
        pdf_report(report)
