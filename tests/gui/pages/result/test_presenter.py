"""Result: what was read for a workspace is shown while that is the open one; a report that cannot be written is a
sentence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gui.pages.result.presenter as module
from gui.hub.signing import SigningError
from gui.pages.result.presenter import ResultPresenter
from gui.report.preview import Preview
from gui.runner.notes import NoteError
from gui.runner.rechecking import UnderWayError
from gui.store import NoteRow


@pytest.fixture
def opened() -> list[Path]:
    return []


@pytest.fixture
def copied() -> list[str]:
    return []


@pytest.fixture
def presenter(desk, page, make_workspace, opened, copied, monkeypatch) -> ResultPresenter:
    monkeypatch.setattr(module, "read_environment", lambda store, run: f"facts of {run}")
    desk.workspace = make_workspace(store="store")
    return ResultPresenter(desk, page, Path("keys"), lambda path: opened.append(path), copied.append)


READS = [
    ("read_run", ("show_run", 3), [("show_run", ("read", "store", 3), None), ("show_environment", 3, "facts of 3")]),
]


@pytest.mark.parametrize(("reads", "asked", "shows"), READS, ids=[read[0] for read in READS])
async def test_what_was_read_is_shown(desk, page, presenter, monkeypatch, reads, asked, shows) -> None:
    monkeypatch.setattr(module, reads, lambda *arguments: ("read", *arguments))
    name, *arguments = asked
    await getattr(presenter, name)(*arguments)
    assert page.calls == shows


@pytest.mark.parametrize(("reads", "asked", "shows"), READS, ids=[read[0] for read in READS])
async def test_a_workspace_that_was_left_meanwhile_is_not_shown(
    desk, page, presenter, monkeypatch, reads, asked, shows
) -> None:
    def leave(*_: Any) -> None:
        desk.workspace = None

    monkeypatch.setattr(module, reads, leave)
    name, *arguments = asked
    await getattr(presenter, name)(*arguments)
    await getattr(presenter, name)(*arguments)
    assert page.calls == []


async def test_a_test_is_shown_while_its_run_is_open(page, presenter, monkeypatch) -> None:
    monkeypatch.setattr(module, "read_run", lambda store, run: f"run {run}")
    monkeypatch.setattr(module, "read_test", lambda store, test: "detail")
    test = SimpleNamespace(entry=SimpleNamespace(run_id=3))
    await presenter.show_run(3)
    await presenter.show_test(test)
    await presenter.show_run(4)
    await presenter.show_test(test)
    assert [call[0] for call in page.calls] == [
        "show_run", "show_environment", "show_test", "show_run", "show_environment"
    ]  # fmt: skip


@pytest.mark.parametrize(("repeat", "read"), [(-1, (0, True)), (0, (0, False)), (2, (2, False))])
async def test_a_timeline_is_shown_while_its_run_is_open(page, presenter, monkeypatch, repeat, read) -> None:
    monkeypatch.setattr(module, "read_run", lambda store, run: f"run {run}")
    monkeypatch.setattr(module, "read_timeline", lambda store, *arguments: arguments)
    await presenter.show_run(3)
    await presenter.show_timeline(3, 1, repeat)
    await presenter.show_run(4)
    await presenter.show_timeline(3, 1, repeat)
    assert [call for call in page.calls if call[0] == "show_timeline"] == [("show_timeline", (3, 1, *read))]


async def test_scoring_again_is_seen_and_says_what_changed(page, presenter, monkeypatch) -> None:
    def again(store: str, run: int, now: float, told: Any) -> list[str]:
        told(0, 3)
        return ["rescored"]

    monkeypatch.setattr(module, "recheck", again)
    monkeypatch.setattr(module, "changes", lambda rescored: f"{rescored[0]}: nothing changed")
    monkeypatch.setattr(module, "read_run", lambda store, run: f"run {run}")
    await presenter.recheck(3)
    assert page.calls == [
        ("set_busy", "Scoring run 3 again"),
        ("show_run", "run 3", None),
        ("show_environment", 3, "facts of 3"),
        ("set_busy", ""),
        ("say", "rescored: nothing changed"),
    ]


async def test_a_run_that_cannot_be_scored_again_says_why(page, presenter, monkeypatch) -> None:
    def refuse(*_: Any) -> None:
        raise UnderWayError("Run 3 is under way.")

    monkeypatch.setattr(module, "recheck", refuse)
    await presenter.recheck(3)
    assert page.calls[-2:] == [("set_busy", ""), ("say", "Run 3 is under way.", "bad")]


async def test_a_baseline_can_be_set_and_that_undone(desk, page, presenter, monkeypatch) -> None:
    kept: list[int | None] = []
    desk.workspace.store = SimpleNamespace(set_baseline=kept.append)
    monkeypatch.setattr(module, "read_run", lambda store, run: f"run {run}")
    await presenter.set_baseline(3, True)
    name, words, actions = page.calls[-1]
    assert (name, words) == ("say", "Run 3 is now the baseline.")
    actions[0][2]()
    await desk.settle()
    assert kept == [3, None]
    assert page.calls[-1][1] == "There is no baseline any more."


async def test_a_note_is_kept_or_says_why_not(page, presenter, monkeypatch) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(module, "write_note", lambda store, run, text, now: kept.append((run, text)))
    monkeypatch.setattr(module, "read_run", lambda store, run: f"run {run}")
    await presenter.add_note(3, "hello")
    assert (kept, page.calls) == ([(3, "hello")], [("show_run", "run 3", None), ("show_environment", 3, "facts of 3")])

    def refuse(*_: Any) -> None:
        raise NoteError("A note must have 1 to 20,000 characters.")

    monkeypatch.setattr(module, "write_note", refuse)
    await presenter.add_note(3, "")
    assert page.calls[-1] == ("note_refused", "A note must have 1 to 20,000 characters.")


NOTE = NoteRow(5.0, "ada", "the disk of s07 was full", 7)


async def test_a_note_that_is_changed_or_deleted_can_be_brought_back(desk, page, presenter, monkeypatch) -> None:
    done: list[Any] = []
    monkeypatch.setattr(module, "change_note", lambda store, run, number, text: done.append((number, text)) or NOTE)
    monkeypatch.setattr(module, "delete_note", lambda store, run, number: done.append(number) or NOTE)
    monkeypatch.setattr(module, "restore_note", lambda store, run, note: done.append(note))
    monkeypatch.setattr(module, "read_run", lambda store, run: f"run {run}")
    await presenter.change_note(3, 7, "better")
    assert page.calls[-1][1] == "The note of ada is changed."
    await presenter.delete_note(3, 7)
    name, words, actions = page.calls[-1]
    assert (name, words) == ("say", "The note of ada is deleted: “the disk of s07 was full”")
    actions[0][2]()
    await desk.settle()
    assert done == [(7, "better"), 7, NOTE]
    assert page.calls[-1] == ("say", "The note of ada is as it was.")

    def refuse(*_: Any) -> None:
        raise NoteError("Note 7 is Tally's own remark.")

    monkeypatch.setattr(module, "delete_note", refuse)
    await presenter.delete_note(3, 7)
    assert page.calls[-1] == ("note_refused", "Note 7 is Tally's own remark.")


async def test_what_was_left_out_of_a_run_stays_out_until_it_is_counted_again(page, presenter, monkeypatch) -> None:
    monkeypatch.setattr(module, "read_run", lambda store, run, **how: (run, how))
    await presenter.leave_out(3, True, 2)
    await presenter.show_run(3)
    await presenter.show_run(4)
    await presenter.leave_out(3, False)
    assert [call[1:] for call in page.calls if call[0] == "show_run"] == [
        ((3, {"without_injected": True}), 2), ((3, {"without_injected": True}), None), ((4, {}), None), ((3, {}), None)
    ]  # fmt: skip


async def test_a_record_that_nobody_requested_is_told_and_copied(desk, page, presenter, copied) -> None:
    entry = SimpleNamespace(server="s1:1094", path="/store/x", tag="tag00001", body=b'{"a": 1}')
    desk.workspace.store = SimpleNamespace(record=lambda number: entry if number == 5 else None)
    await presenter.show_record(5)
    _, words, colour, actions = page.calls[-1]
    assert (words, colour) == ("Record of s1:1094 for /store/x: tag tag00001 never asked for that path.", "warn")
    actions[0][2]()
    assert copied == ['{"a": 1}']
    await presenter.show_record(6)
    assert page.calls[-1] == ("say", "This record is no longer in the workspace.", "bad")


async def test_a_written_report_can_be_opened(page, presenter, opened, monkeypatch, tmp_path) -> None:
    written: list[Any] = []
    monkeypatch.setattr(module, "write_report", lambda *arguments: written.append(arguments))
    await presenter.write_report(3, tmp_path / "r.pdf", "pdf", True)
    assert written == [("store", 3, tmp_path / "r.pdf", "pdf", True, False)]
    name, words, actions = page.calls[-1]
    assert (name, words) == ("say", f"Written: {tmp_path / 'r.pdf'}")
    assert [action[0] for action in actions] == ["Open", "Open folder"]
    for _, _, call in actions:
        call()
    assert opened == [tmp_path / "r.pdf", tmp_path]


async def test_a_preview_comes_to_its_sheet(presenter, recorder, monkeypatch) -> None:
    monkeypatch.setattr(module, "make_preview", lambda *asked: Preview(text=f"{asked[2]} {asked[3]}"))
    sheet = recorder()
    await presenter.preview(3, "csv", True, sheet)
    assert sheet.calls == [("show_preview", "csv", True, Preview(text="csv True"))]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied"), "The bundle cannot be written to b.tally.zip: Permission denied."),
        (SigningError("The key is gone."), "The bundle cannot be written to b.tally.zip: The key is gone."),
    ],
)
async def test_a_bundle_that_cannot_be_written_is_a_sentence(desk, presenter, monkeypatch, error, said) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(module, "save_bundle", refuse)
    await presenter.save_bundle(1, Path("b.tally.zip"))
    assert [text for _, text, _ in desk.said] == [said]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied"), "The report cannot be written to r.pdf: Permission denied."),
        (ValueError("No such format."), "The report cannot be written to r.pdf: No such format."),
    ],
)
async def test_a_report_that_cannot_be_written_is_a_sentence(desk, presenter, monkeypatch, error, said) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(module, "write_report", refuse)
    await presenter.write_report(1, Path("r.pdf"))
    assert [text for _, text, _ in desk.said] == [said]
