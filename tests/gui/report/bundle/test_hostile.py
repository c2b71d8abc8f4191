"""Every bundle of `hostile`, and the answers to them: docs/bundles.md has them as one table, which is held here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gui.models.course import view_of
from gui.models.timeline import read_timeline
from gui.reconcile import Courses, score
from gui.report import (
    COMPARED_FORMATS,
    FORMATS,
    BundleError,
    build,
    check_bundle,
    compare,
    export_bundle,
    import_bundle,
    render,
    render_compared,
    requests_json,
    seal_sentence,
)
from gui.store import Store, VerdictKind
from tests.gui.report.bundle.hostile import HOSTILE

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[3] / "docs" / "bundles.md"
VICTIM = "victim00"


def answer(store: Store, path: Path) -> str:
    """What is said to whoever takes this bundle in, without what differs from one run of the tests to the next."""
    try:
        imported = import_bundle(store, path, 99.0)
    except BundleError as error:
        said = f"Refused: {error}"
    else:
        differs = [f"Scored again: {text}." for text in imported.seal.differs]
        said = " ".join(["Taken in.", seal_sentence(imported.seal), *differs])
    said = re.sub(r"damaged: (Error -3|Bad CRC).*", "damaged: ….", said)
    said = re.sub(r"\(byte \d+\)", "(byte …)", said)
    said = re.sub(r"ed25519:[\w-]{43}", "ed25519:…", said)
    return re.sub(r"\b[a-z][a-z0-9]{7}(?= is used twice)", "TAG", said).replace("forged.tally.zip", "FILE")


def table() -> dict[str, str]:
    """The rows of the table in the document."""
    rows = re.findall(r"^\| (.+?) \| ((?:Refused|Taken in).+?) \|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    return {what.replace("\\|", "|"): said.replace("\\|", "|") for what, said in rows}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("what", [what for what, _ in HOSTILE])
def test_each_has_the_answer_that_the_document_gives(
    what: str, signed_forge: Any, empty: Store, new_world: Callable[[Store], Any]
) -> None:
    path = dict(HOSTILE)[what](signed_forge)
    mine = new_world(empty)
    _fill(mine)
    before = _shown(mine)
    assert answer(empty, path) == table().get(what, "(no row in docs/bundles.md)")
    assert _shown(mine) == before, "another run is as it was"
    for run in empty.runs():
        _show_all(empty, run.id)
        if run.id != mine.run:  # whose tag is not that of its records
            again = path.with_name("again.tally.zip")
            export_bundle(empty, run.id, again)
            assert not check_bundle(again).changed


def _show_all(store: Store, run: int) -> None:
    """Everything that shows a run: reports, lists, evidence, the timeline, a comparison."""
    for redact in (False, True):
        report = build(store, run, redact=redact)
        assert all(render(report, wanted) for wanted in FORMATS if wanted != "pdf")
        assert all(requests_json(store, run, tuple(VerdictKind), test=None, server="", redact=redact))
    same = compare(report, report)
    assert all(render_compared(same, wanted) for wanted in COMPARED_FORMATS)
    courses = Courses(store, run)
    for repeat in store.repeats(run):
        read_timeline(store, run, repeat.test_number, repeat.number)
        assert all(view_of(courses.of(request.id)).text for request in store.requests(repeat.id))


def _fill(mine: Any) -> None:
    """A run of this workspace, whose tag a stranger has guessed."""
    mine.begin()
    asked = mine.ask(2)
    mine.read(*asked)
    mine.record(asked[0])
    score(mine.store, mine.repeat, "settle", mine.tick())
    with mine.store.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE tag SET tag = '{VICTIM}'")


def _shown(mine: Any) -> tuple[object, ...]:
    store = mine.store
    again = score(store, mine.repeat, "recheck", 1.0)
    requests = store.requests(mine.repeat)
    return (
        store.run(mine.run),
        [request for request in requests if request.server_url],
        [len(store.records_of(request.id)) for request in requests],
        (again.total, again.matched, again.missing, again.unrequested),
        store.notes(mine.run),
    )


def test_the_document_speaks_of_no_others() -> None:
    assert list(table()) == [what for what, _ in HOSTILE]
    assert len(HOSTILE) >= 30
