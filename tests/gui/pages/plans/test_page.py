"""Plans: form and text are two views of one file; presets stay as they are; what is wrong stands beside its field."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QTreeWidgetItem

from gui.campaign.planfile import format_plan
from gui.campaign.selection import Server
from gui.models.plans import NEW_PLAN, PlanLibrary
from gui.pages.plans.page import PlansPage

NEW_PLAN_TEXT = format_plan(NEW_PLAN)


@pytest.fixture
def page(show, tmp_path: Path) -> PlansPage:
    return show(PlansPage(PlanLibrary(tmp_path / "plans")))


@pytest.fixture
def mine(page: PlansPage) -> PlansPage:
    """A plan of one's own is open."""
    page.new_plan()
    return page


def saved(page: PlansPage) -> dict:
    assert page.editor.entry.path is not None
    return tomllib.loads(page.editor.entry.path.read_text())


def test_a_changed_preset_is_saved_as_a_plan_of_ones_own(page: PlansPage) -> None:
    before = page.library.presets()[0].text
    assert page.remark.text() == "preset"
    page.form.repeats.setValue(7)
    assert "Save creates your own copy" in page.remark.text()
    page.save()
    assert page.editor.entry.path is not None
    assert saved(page)["test"][0]["repeats"] == 7
    assert page.library.presets()[0].text == before


def test_undo_and_redo_go_through_form_and_text(mine: PlansPage) -> None:
    mine.form.files.setValue(75)
    mine.toggle_toml()
    mine.source.setPlainText(mine.source.toPlainText().replace("seed = 42", "seed = 43"))
    mine.undo()
    assert mine.form.seed.value() == 42
    mine.undo()
    assert mine.form.files.value() == 50
    mine.redo()
    mine.redo()
    assert (mine.form.files.value(), mine.form.seed.value()) == (75, 43)
    assert not mine.redo_button.isEnabled()


def test_text_and_form_show_the_same_and_comments_stay(mine: PlansPage) -> None:
    mine.toggle_toml()
    mine.source.setPlainText("# why: acceptance\n" + mine.source.toPlainText().replace("servers = 4", "servers = 9"))
    assert mine.form.servers.text() == "9"
    mine.form.servers.setText("label:EU")
    mine.form.servers.textEdited.emit("label:EU")
    assert 'servers = "label:EU"' in mine.source.toPlainText()
    assert mine.source.toPlainText().startswith("# why: acceptance\n")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed = 42", "sed = 42", "seed"),
        ("servers = 4", "servers = -4", "servers"),
        ("per_round = 10", 'per_round = "many"', "per_round"),
        ("[[test]]", "[[tset]]", "test"),
        ("seed = 42", "seed = ", "line"),
    ],
)
def test_a_text_that_is_no_plan_says_what_and_cannot_run(mine: PlansPage, old: str, new: str, said: str) -> None:
    mine.toggle_toml()
    assert old in mine.source.toPlainText()
    mine.source.setPlainText(mine.source.toPlainText().replace(old, new, 1))
    assert said in mine.errors.text()
    assert not mine.run_button.isEnabled()
    asked: list[object] = []
    mine.run_wanted.connect(asked.append)
    mine.run()
    assert asked == []
    mine.undo()
    assert mine.errors.text() == ""
    assert mine.run_button.isEnabled()


@pytest.mark.parametrize(
    ("text", "said"), [("", "Enter which servers"), ("0", "At least one"), ("a, a", "named twice"), ("label:", "label")]
)
def test_a_wrong_field_says_so_beside_itself_and_changes_nothing(mine: PlansPage, text: str, said: str) -> None:
    before = mine.editor.text
    mine.form.servers.setText(text)
    mine.form.servers.textEdited.emit(text)
    assert said in mine.form._errors["servers"].text()
    assert mine.form._errors["servers"].isVisible()
    assert mine.editor.text == before
    assert "1 field" in mine.errors.text()


def test_each_kind_of_reading_shows_its_fields_and_is_kept(mine: PlansPage) -> None:
    for kind, visible in (
        ("full", ()),
        ("range", ("bytes",)),
        ("vector", ("bytes", "chunks")),
        ("long", ("reads", "pause")),
    ):
        next(b for b in mine.form.kinds.buttons() if b.property("value") == kind).click()
        shown = {name for name in ("bytes", "chunks", "reads", "pause") if getattr(mine.form, name).isVisible()}
        assert set(visible) <= shown
        assert mine.editor.plan.tests[0].workload.kind == kind


def test_tests_are_added_and_removed_and_one_stays(mine: PlansPage) -> None:
    assert not mine.remove_test_button.isEnabled()
    mine.add_test_button.click()
    assert mine.tabs.count() == 2
    mine.form.servers.setText("8")
    mine.form.servers.textEdited.emit("8")
    assert [test.servers for test in mine.editor.plan.tests] == [4, 8]
    mine.remove_test_button.click()
    assert [test.servers for test in mine.editor.plan.tests] == [4]


def test_the_preview_counts_and_says_when_servers_are_missing(mine: PlansPage) -> None:
    assert mine.preview.note.property("kind") == "warn"
    mine.set_federation([Server(f"s{n}", f"root://s{n}:1094", ()) for n in range(50)], (), ["c1"])
    assert mine.preview.note.text() == "4 servers available"
    assert mine.form.clients_hint.text() == "c1"


def test_names_that_mean_harm_are_kept_and_shown_as_they_are(mine: PlansPage, hostile, tmp_path: Path) -> None:
    for name in hostile:
        if "\n" in name or len(name) > 200:
            continue  # a plan's name has one line of at most 200 characters
        mine.form.name.setText(name)
        mine.form.name.textEdited.emit(name)
        assert mine.editor.plan.name == name.strip()
        assert mine.title.text() == name.strip()
        mine.duplicate()
        assert mine.editor.entry.path.parent == tmp_path / "plans"
    mine.grab()


def test_what_a_file_would_not_take_is_refused_beside_its_field_and_the_form_goes_on(mine: PlansPage) -> None:
    before = mine.editor.text
    for wrong in ("n" * 300, "a\ttab"):
        mine.form.name.setText(wrong)
        mine.form.name.textEdited.emit(wrong)
        assert "at most 200 characters" in mine.form._errors["name"].text()
        assert mine.editor.text == before
        assert not mine.run_button.isEnabled()
    mine.form.name.setText("good again")
    mine.form.name.textEdited.emit("good again")
    assert mine.editor.plan.name == "good again"
    assert mine.run_button.isEnabled()


def test_a_broken_file_is_listed_and_can_be_mended(page: PlansPage, tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "broken.toml").write_text("name = 3\n")
    page.refresh_list()
    broken = next(entry for entry in page.library.mine() if entry.broken)
    page.open_entry(broken)
    assert "name" in page.errors.text()
    assert not page.run_button.isEnabled()


def test_a_file_that_cannot_be_read_is_a_problem(page: PlansPage, tmp_path: Path) -> None:
    said: list[str] = []
    page.problem.connect(said.append)
    page.import_file(tmp_path / "not-there.toml")
    (tmp_path / "huge.toml").write_bytes(b"#" * 40_000_000)
    page.import_file(tmp_path / "huge.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    page.import_file(tmp_path / "bytes.toml")
    assert [("not-there" in said[0]), ("larger" in said[1]), ("bytes" in said[2])] == [True] * 3


def test_looking_at_another_plan_saves_ones_own(mine: PlansPage) -> None:
    path = mine.editor.entry.path
    mine.form.files.setValue(99)
    mine.open_entry(mine.library.presets()[0])
    assert tomllib.loads(path.read_text())["test"][0]["files_per_server"] == 99


def entries(page: PlansPage) -> dict[str, list[int]]:
    """The plans of one's own, with the number of repeats of each test."""
    return {
        entry.path.name: [test["repeats"] for test in tomllib.loads(entry.text)["test"]]
        for entry in page.library.mine()
        if entry.path is not None
    }


def point(page: PlansPage, title: str) -> QTreeWidgetItem:
    """A click on a line of the list."""
    (item,) = page.list.tree.findItems(title, Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive)
    page.list.tree.scrollToItem(item)
    place = page.list.tree.visualItemRect(item).center()
    QTest.mouseClick(page.list.tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    (item,) = page.list.tree.findItems(title, Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive)
    return item


def test_changes_of_a_preset_become_a_plan_of_ones_own_when_another_is_chosen(page: PlansPage) -> None:
    first, second = page.library.presets()[:2]
    page.form.name.setText("before the upgrade")
    page.form.name.textEdited.emit("before the upgrade")
    page.form.repeats.setValue(7)
    chosen = point(page, second.title)
    assert page.list.tree.currentItem() is chosen
    assert page.editor.entry.preset == second.preset
    assert list(entries(page)) == ["before-the-upgrade.toml"]
    assert entries(page)["before-the-upgrade.toml"][0] == 7
    assert page.library.presets()[0].text == first.text
    point(page, "before the upgrade")
    assert page.form.repeats.value() == 7


@pytest.mark.parametrize("leave", ["new_plan", "import"])
def test_what_takes_the_place_of_a_changed_preset_keeps_it(page: PlansPage, tmp_path: Path, leave: str) -> None:
    page.form.repeats.setValue(7)
    if leave == "new_plan":
        page.new_plan()
    else:
        (tmp_path / "other.toml").write_text(NEW_PLAN_TEXT)
        page.import_file(tmp_path / "other.toml")
    assert sorted(repeats[0] for repeats in entries(page).values()) == [1, 7]


def test_a_copy_of_a_changed_preset_is_the_only_one(page: PlansPage) -> None:
    page.form.repeats.setValue(7)
    page.duplicate()
    assert [repeats[0] for repeats in entries(page).values()] == [7]


def test_a_copy_of_a_changed_plan_leaves_the_changes_in_both(mine: PlansPage) -> None:
    mine.form.repeats.setValue(7)
    mine.duplicate()
    assert [repeats[0] for repeats in entries(mine).values()] == [7, 7]


def test_another_test_of_the_same_plan_is_no_other_plan(page: PlansPage) -> None:
    entry = next(entry for entry in page.library.presets() if entry.text.count("[[test]]") > 1)
    page.open_entry(entry)
    page.form.repeats.setValue(7)
    page.open_entry(entry, 1)
    page.open_entry(entry, 0)
    assert page.form.repeats.value() == 7
    assert page.editor.changed
    assert entries(page) == {}


def test_a_changed_plan_that_cannot_be_saved_stays_open(page: PlansPage, tmp_path: Path) -> None:
    (tmp_path / "plans").write_text("no folder")
    said: list[str] = []
    page.problem.connect(said.append)
    page.form.repeats.setValue(7)
    point(page, page.library.presets()[1].title)
    assert page.form.repeats.value() == 7
    assert page.editor.changed
    assert page.list.tree.currentItem().text(0) == page.library.presets()[0].title
    assert "cannot be saved" in said[0]


def test_the_command_line_is_copied(mine: PlansPage) -> None:
    mine.command_button.click()
    assert QGuiApplication.clipboard().text() == f"tally run {mine.editor.entry.path} --headless"


@pytest.mark.parametrize(("width", "beside"), [(1368, True), (1208, True), (1048, False)])
def test_the_form_needs_no_scrolling_sideways(mine: PlansPage, qtbot, width: int, beside: bool) -> None:
    def is_beside() -> bool:
        form, preview = (part.mapTo(mine, QPoint(0, 0)) for part in (mine.form, mine.preview))
        return preview.x() > form.x() and preview.y() <= form.y() + 8

    for kind in ("full", "vector", "long"):
        next(b for b in mine.form.kinds.buttons() if b.property("value") == kind).click()
        mine.resize(width, 720)
        qtbot.waitUntil(lambda: is_beside() is beside)
        assert mine.stack.widget(0).horizontalScrollBar().maximum() == 0
        assert mine.preview.minimumSizeHint().width() <= mine.preview.width()
    mine.resize(1368, 720)
    qtbot.waitUntil(is_beside)


def test_a_test_name_in_its_tab_is_cut_and_keeps_its_ampersand(mine: PlansPage) -> None:
    mine.form.test_name.setText("reads & writes of the caches in all of Europe")
    mine.form.test_name.textEdited.emit("")
    assert mine.tabs.tabText(0) == "reads && writes of the caches in…"
    assert "reads &amp; writes of the caches in all of Europe" in mine.tabs.tabToolTip(0)
