"""Plans: form and text are two views of one file; presets stay as they are; what is wrong stands beside its field."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication, QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QTreeWidgetItem

from gui.campaign.around import Around, Listing
from gui.campaign.plan import Fault, File, Files, Means, Plan, Test, Who
from gui.campaign.planfile import format_plan
from gui.campaign.selection import Client, Server
from gui.models.faults import Met
from gui.models.plain import straight
from gui.models.plans import NEW_PLAN, FaultPlace, PlanLibrary
from gui.pages.plans.choose import ChooseSheet
from gui.pages.plans.page import PlansPage
from gui.pages.plans.workloads import KINDS

NEW_PLAN_TEXT = format_plan(NEW_PLAN)


@pytest.fixture
def page(show, tmp_path: Path) -> PlansPage:
    return show(PlansPage(PlanLibrary(tmp_path / "plans")))


@pytest.fixture
def mine(page: PlansPage) -> PlansPage:
    """A plan of one's own is open."""
    page.new_plan()
    return page


def around(*, servers: int = 50, **changes) -> Around:
    """A lab with that many servers, one client and one file."""
    values = {
        "servers": tuple(Server(f"s{number}", f"root://s{number}:1094") for number in range(1, servers + 1)),
        "clients": (Client("c1", "c1"),),
        "lab_files": (File("/store/a", 2**20),),
    }
    return Around(**(values | changes))


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
    assert said in "\n".join(mine.error_list.texts())
    assert not mine.run_button.isEnabled()
    asked: list[object] = []
    mine.run_wanted.connect(asked.append)
    mine.run()
    assert asked == []
    mine.undo()
    assert mine.error_list.texts() == []
    assert mine.run_button.isEnabled()


@pytest.mark.parametrize(
    ("text", "said"), [("", "Enter which servers"), ("0", "At least one"), ("a, a", "named twice"), ("label:", "label")]
)
def test_a_wrong_field_says_so_beside_itself_and_changes_nothing(mine: PlansPage, text: str, said: str) -> None:
    before = mine.editor.text
    mine.form.servers.setText(text)
    mine.form.servers.textEdited.emit(text)
    assert said in mine.form._messages["servers"].text()
    assert mine.form._messages["servers"].isVisible()
    assert mine.editor.text == before
    assert "1 field" in mine.errors.text()


def test_each_kind_of_reading_shows_its_fields_and_is_kept(mine: PlansPage) -> None:
    for kind, visible in (
        ("full", ()),
        ("range", ("bytes",)),
        ("vector", ("bytes", "chunks")),
        ("long", ("reads", "pause")),
    ):
        (row,) = mine.form.workloads.rows
        row.kind.setCurrentIndex(KINDS.index(kind))
        shown = {name for name in ("bytes", "chunks", "reads", "pause") if getattr(row, name).isVisible()}
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
    assert mine.preview.notes() == ["No workspace is open: servers, clients and files are not checked."]
    mine.set_around(around(servers=2), FaultPlace())
    assert mine.form.message("servers") == "The plan asks for 4 servers, but there are 2 servers here."
    assert not mine.run_button.isEnabled()
    mine.set_around(around(), FaultPlace())
    assert mine.preview.notes() == ["4 servers available", "1 file to draw from"]
    assert mine.form.clients_hint.text() == "c1 up"
    assert mine.run_button.isEnabled()


def test_names_that_mean_harm_are_kept_and_shown_as_they_are(mine: PlansPage, hostile, tmp_path: Path) -> None:
    for name in hostile:
        if "\n" in name or len(name) > 200:
            continue  # a plan's name has one line of at most 200 characters
        mine.form.name.setText(name)
        mine.form.name.textEdited.emit(name)
        assert mine.editor.plan.name == name.strip()
        assert mine.title.text() == straight(name.strip())
        mine.duplicate()
        assert mine.editor.entry.path.parent == tmp_path / "plans"
    mine.grab()


def test_what_a_file_would_not_take_is_refused_beside_its_field_and_the_form_goes_on(mine: PlansPage) -> None:
    before = mine.editor.text
    for wrong in ("n" * 300, "a\ttab"):
        mine.form.name.setText(wrong)
        mine.form.name.textEdited.emit(wrong)
        assert "at most 200 characters" in mine.form.message("name")
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
    assert "name" in page.error_list.texts()[0]
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
        mine.form.workloads.rows[0].kind.setCurrentIndex(KINDS.index(kind))
        mine.resize(width, 720)
        qtbot.waitUntil(lambda: is_beside() is beside)
        assert mine.form_side.form_area.horizontalScrollBar().maximum() == 0
        assert mine.preview.minimumSizeHint().width() <= mine.preview.width()
    mine.resize(1368, 720)
    qtbot.waitUntil(is_beside)


def test_a_test_name_in_its_tab_is_cut_and_keeps_its_ampersand(mine: PlansPage) -> None:
    mine.form.test_name.setText("reads & writes of the caches in all of Europe")
    mine.form.test_name.textEdited.emit("")
    assert mine.tabs.tabText(0) == "reads && writes of the caches in…"
    assert "reads &amp; writes of the caches in all of Europe" in mine.tabs.tabToolTip(0)


# ---- typed and clicked as a person would


def type_into(field, text: str) -> None:
    """Replace what is in a field, key by key; an empty text removes it."""
    field.setFocus()
    field.selectAll()
    if text:
        QTest.keyClicks(field, text)
    else:
        QTest.keyClick(field, Qt.Key.Key_Delete)


def open_plan(page: PlansPage, plan: Plan) -> PlansPage:
    """Store a plan of one's own and open it."""
    page._store(format_plan(plan), plan.name)
    return page


WIDE = Test(servers=4, files_per_server=50, per_round=10, seed=2**53, wait=0.0005, pass_at=99.9995, timeout=12.5)


def test_a_field_that_is_not_touched_keeps_its_value_to_the_last_digit(page: PlansPage) -> None:
    test = replace(WIDE, servers=("8",), who=Who(("c1",), 4))
    open_plan(page, Plan("wide", (test,), settle=0.12345))
    type_into(page.form.files, "60")
    assert page.editor.plan == Plan("wide", (replace(test, files_per_server=60),), settle=0.12345)
    assert page.form.servers.isReadOnly()
    notes = {field: note.text() for field, note in page.form._notes.items() if not note.isHidden()}
    assert "reads as a number" in notes["servers"]
    assert notes["per_round"].startswith("Exactly a wait of 0.0005 s; more digits")
    assert "settling for 0.12345 s" in notes["limits"]


def test_time_limits_and_large_numbers_are_edited_in_the_form(mine: PlansPage) -> None:
    type_into(mine.form.timeout, "2.5")
    type_into(mine.form.request_timeout, "45")
    QTest.mouseClick(mine.form.barrier, Qt.MouseButton.LeftButton, pos=QPoint(10, mine.form.barrier.height() // 2))
    type_into(mine.form.settle, "600")
    type_into(mine.form.seed, str(2**53))
    type_into(mine.form.pass_at, "99.995")
    plan = mine.editor.plan
    (test,) = plan.tests
    assert (test.timeout, plan.settle, test.seed, test.pass_at) == (2.5, 600.0, 2**53, 99.995)
    assert (test.request_timeout, test.barrier) == (45.0, True)
    assert mine.form.pass_at.text() == "99.995 %", "100.00 would promise another threshold"


def test_credentials_are_named_in_the_form(mine: PlansPage) -> None:
    def auth() -> Means:
        return mine.editor.plan.tests[0].auth

    type_into(mine.form.token, "token")
    assert auth() == Means(token_file="token")
    type_into(mine.form.token, "env:MY_TOKEN")
    type_into(mine.form.cert, "me.pem")
    assert auth() == Means(token="env:MY_TOKEN", cert="me.pem")
    type_into(mine.form.key, "me.key")
    assert auth() == Means(token="env:MY_TOKEN", cert="me.pem", key="me.key")
    type_into(mine.form.cert, "")
    assert mine.form.message("cert") == "Auth: a key needs its certificate; give cert."
    type_into(mine.form.cert, "me.pem")
    type_into(mine.form.token, "env:a.b")
    assert mine.form.message("token").startswith('Token: expected "env:NAME", a variable with the token')
    type_into(mine.form.token, "")
    assert auth() == Means(cert="me.pem", key="me.key")


def test_where_files_come_from(mine: PlansPage) -> None:
    def source(value: str) -> None:
        button = next(b for b in mine.form.sources.buttons() if b.property("value") == value)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    assert not mine.form.path.isVisible()
    source("list")
    assert mine.form.message("files") == "Enter the path of a file list."
    assert not mine.run_button.isEnabled()
    type_into(mine.form.path, "files.txt")
    assert mine.editor.plan.tests[0].files == Files(list="files.txt")
    source("dir")
    assert mine.form.message("files").startswith("Dir: a path begins with '/'")
    assert mine.editor.plan.tests[0].files == Files(list="files.txt"), "what no file would hold changes nothing"
    type_into(mine.form.path, "/store/data")
    assert mine.editor.plan.tests[0].files == Files(dir="/store/data")
    source("lab")
    assert mine.editor.plan.tests[0].files == Files()


def test_a_list_that_cannot_be_read_stands_beside_the_field_and_stops_run(mine: PlansPage) -> None:
    mine.form.take_list("/data/files.txt")
    mine.set_around(around(lists={"/data/files.txt": Listing(error="It cannot be read.")}), FaultPlace())
    assert mine.form._messages["files"].text() == "It cannot be read."
    assert not mine.run_button.isEnabled()
    assert mine.errors.text() == "1 field to correct: From."
    listing = Listing(tuple(File(f"/f{number}", 2**20) for number in range(1600)))
    mine.set_around(around(lists={"/data/files.txt": listing}), FaultPlace())
    assert mine.form.source_hint.text() == "1,600 files, 1.6 GiB"
    assert mine.run_button.isEnabled()


@pytest.mark.parametrize(
    ("field", "text", "title", "said"),
    [
        ("clients", "c9", "Clients", "There is no client 'c9' (the nearest is 'c1')."),
        ("servers", "foo bar", "Servers", "Expected the name of one server, not 'foo bar'"),
        ("servers", "s77", "Servers", "There is no server 's77' (the nearest is 's7')."),
        ("files", "0", "Files", "Files_per_server: expected a number from 1 to 10,000,000, not 0."),
        ("slots", "0", "Slots", "Slots: expected a number from 1 to 1,024, not 0."),
        ("repeats", "0", "Repeats", "Repeats: expected a number from 1 to 1,000, not 0."),
        ("timeout", "0", "Time limits", "Timeout: expected more than 0 seconds."),
        (
            "request_timeout",
            "1",
            "Request limit",
            "Request_timeout: a whole request cannot have less time than one call (timeout).",
        ),
    ],
)
def test_a_mistake_stands_beside_its_field_and_stops_run(
    mine: PlansPage, texts, field: str, text: str, title: str, said: str
) -> None:
    mine.set_around(around(), FaultPlace())
    asked: list[object] = []
    mine.run_wanted.connect(asked.append)
    type_into(getattr(mine.form, field), text)
    assert any(line.startswith(said) for line in texts(mine.form)), texts(mine.form)
    assert mine.errors.text() == f"1 field to correct: {title}."
    assert not mine.run_button.isEnabled()
    assert said in mine.why_not()
    mine.run()
    assert asked == []
    while mine.undo_button.isEnabled():
        QTest.mouseClick(mine.undo_button, Qt.MouseButton.LeftButton)
    assert mine.editor.plan == NEW_PLAN
    assert mine.form.message(field) == ""


def test_what_was_typed_and_is_wrong_is_not_left_behind(mine: PlansPage) -> None:
    entry = mine.editor.entry
    type_into(mine.form.servers, "foo bar")
    point(mine, mine.library.presets()[1].title)
    assert mine.editor.entry.same_as(entry), "another plan would take the place of what was typed"
    assert mine.form.servers.text() == "foo bar"
    assert mine.focusWidget() is mine.form.servers
    mine.save()
    mine.toggle_toml()
    mine.toggle_toml()
    assert mine.form.servers.text() == "foo bar"
    type_into(mine.form.servers, "s1")
    point(mine, mine.library.presets()[1].title)
    assert not mine.editor.entry.same_as(entry)
    assert tomllib.loads(entry.path.read_text())["test"][0]["servers"] == ["s1"]


def test_a_mistake_in_another_test_is_led_to(page: PlansPage) -> None:
    open_plan(page, Plan("two", (Test(1, 10, 5), Test(99, 10, 5, name="too many"))))
    page.set_around(around(), FaultPlace())
    assert page.errors.text() == "More in test 2."
    assert page.why_not().startswith("Test 2, Servers: The plan asks for 99 servers")
    assert [page.tabs.tabIcon(number).isNull() for number in range(2)] == [True, False]
    page.show_mistake()
    assert page.tabs.currentIndex() == 1
    assert page.focusWidget() is page.form.servers


BROKEN = """\
name = "b"
[[test]]
servers =
files_per_server = 5
per round = 3
wait = "1s"
repeats 3
seed = x
[test.who
"""


def test_a_broken_text_leaves_the_form_to_be_read_and_every_error_leads_to_its_line(mine: PlansPage, texts) -> None:
    mine.form.files.setValue(75)
    mine.toggle_toml()
    type_into(mine.source, "")
    mine.source.setPlainText(BROKEN)
    mine.toggle_toml()
    assert not mine.form.isEnabled()
    assert not mine.add_test_button.isEnabled()
    assert not mine.faults.add_button.isEnabled()
    assert mine.form.files.value() == 75, "the form shows what it was before"
    assert any(line.startswith("The text is not a plan, line 3: ") for line in texts(mine.banner))
    lines = [int(text.split(":")[0].removeprefix("line ")) for text in mine.error_list.texts()]
    assert lines == [3, 5, 7, 8, 9]
    assert mine.error_list.count() == 5
    QTest.mouseClick(mine.banner.go_button, Qt.MouseButton.LeftButton)
    assert (mine.stack.currentIndex(), mine.source.line()) == (1, 3)
    mine.toggle_toml()
    last = mine.error_list.item(4)
    QTest.mouseClick(
        mine.error_list.viewport(), Qt.MouseButton.LeftButton, pos=mine.error_list.visualItemRect(last).center()
    )
    assert (mine.stack.currentIndex(), mine.source.line()) == (1, 9)
    assert mine.focusWidget() is mine.source
    mine.save()
    assert mine.editor.entry.path.read_text() == BROKEN, "nothing that was written is dropped"
    while mine.editor.plan is None:
        mine.undo()
    mine.toggle_toml()
    assert mine.form.isEnabled()
    assert mine.error_list.isHidden()


def test_undo_goes_through_fields_text_and_faults_alike(mine: PlansPage) -> None:
    type_into(mine.form.name, "xy")
    type_into(mine.form.seed, "7")
    mine.faults.add("kill-collector", 12.0)
    mine.toggle_toml()
    mine.source.moveCursor(QTextCursor.MoveOperation.Start)
    QTest.keyClicks(mine.source, "# a")
    assert mine.editor.text.startswith("# a")
    steps = 0
    while mine.editor.can_undo:
        QTest.keyClick(mine.source, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        steps += 1
    assert mine.editor.text == NEW_PLAN_TEXT
    assert steps == 3 + 1 + 1 + 2, "three keys of text, one fault, one digit, two letters of the name"
    mine.toggle_toml()
    for _ in range(3):
        QTest.keyClick(
            mine.form.name, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        )
    assert (mine.form.name.text(), mine.form.seed.value()) == ("xy", 7)


def test_run_names_what_it_starts(page: PlansPage) -> None:
    open_plan(page, Plan("night <b>", (Test(1, 10, 5, repeats=3), Test(2, 10, 5))))
    assert page.starts.text() == "Run starts “night <b>”: 2 tests, 4 repeats"
    assert "night &lt;b&gt;" in page.run_button.toolTip()
    assert page.run_button.accessibleName() == "Run night <b>"
    page.set_running(running=True)
    assert "A run is under way." in page.run_button.toolTip()


@pytest.mark.parametrize("faults", [(), tuple(Fault(10.0 * n, "udp-loss", 25.0) for n in range(12))])
@pytest.mark.parametrize(("width", "height"), [(1208, 616), (1048, 596), (1368, 796)])
def test_run_is_above_the_fold(page: PlansPage, qtbot, width: int, height: int, faults) -> None:
    open_plan(page, Plan("p", (Test(50, 100, 5, faults=faults),) * 8))
    page.set_around(around(servers=3), FaultPlace())
    page.faults.choose(len(faults) - 1)
    page.resize(width, height)

    def in_sight() -> bool:
        place = page.run_button.mapTo(page, QPoint(0, page.run_button.height()))
        return page.run_button.isVisible() and 0 < place.y() <= page.height() and page.height() == height

    qtbot.waitUntil(in_sight)


def test_servers_are_chosen_from_a_list(mine: PlansPage, qtbot) -> None:
    mine.set_around(around(servers=3), FaultPlace())
    QTest.mouseClick(mine.form.choose_servers, Qt.MouseButton.LeftButton)
    sheet = mine.findChild(ChooseSheet)
    qtbot.waitUntil(sheet.isVisible)
    assert sheet.checked() == [], "four are asked for, and there are three"
    for row in (0, 2):
        sheet.list.item(row).setCheckState(Qt.CheckState.Checked)
    QTest.mouseClick(sheet.ok, Qt.MouseButton.LeftButton)
    assert mine.editor.plan.tests[0].servers == ("s1", "s3")
    assert mine.form.servers.text() == "s1, s3"
    assert mine.form.message("servers") == ""


def test_a_plan_that_is_imported_finds_its_list_where_it_was(page: PlansPage, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "files.txt").write_text("/a 1\n")
    plan = Plan("far", (Test(1, 10, 5, files=Files(list="files.txt")), Test(1, 10, 5, files=Files(list="gone.txt"))))
    (tmp_path / "there" / "far.toml").write_text(format_plan(plan))
    page.import_file(tmp_path / "there" / "far.toml")
    lists = [test.files.list for test in page.editor.plan.tests]
    assert lists == [str(tmp_path / "there" / "files.txt"), "gone.txt"]
    assert page.directory() == tmp_path / "plans"


def test_a_plan_that_is_deleted_is_named_and_can_be_brought_back_with_what_was_not_saved(mine) -> None:
    mine.form.repeats.setValue(7)
    name, text, path = mine.editor.plan.name, mine.editor.text, mine.editor.entry.path
    assert mine.editor.changed
    mine.delete()
    assert not path.exists()
    assert mine.editor.entry.preset is not None
    assert mine.message.text.text() == f"The plan “{name}” is deleted."
    assert name not in [entry.title for entry in mine.list.entries() if entry.path]
    next(button for button in mine.message.buttons if button.text() == "Undo").click()
    assert path.read_text() == text
    assert mine.editor.plan.tests[0].repeats == 7
    assert mine.message.isHidden()
    assert name in [entry.title for entry in mine.list.entries() if entry.path]


def test_the_file_of_a_plan_follows_its_name_and_never_takes_that_of_another(page: PlansPage, qtbot) -> None:
    folder = page.library.folder
    page.new_plan()
    assert page.editor.entry.path == folder / "new-plan.toml"
    page.new_plan()
    assert page.editor.entry.path == folder / "new-plan-2.toml"
    for name, file in (
        ("Scale test", "scale-test.toml"),
        ("new plan", "new-plan-2.toml"),
        ("scale  TEST", "scale-test.toml"),
    ):
        page.form.name.selectAll()
        qtbot.keyClicks(page.form.name, name)
        assert page.save()
        assert page.editor.entry.path == folder / file
        assert "saved" in page.remark.text()
        assert file in page.remark.text()
    assert sorted(path.name for path in folder.iterdir()) == ["new-plan.toml", "scale-test.toml"]
    assert page.library.read(folder / "new-plan.toml").title == "new plan"
    # one that somebody has called otherwise keeps its file
    other = folder / "by-hand.toml"
    (folder / "scale-test.toml").rename(other)
    page.refresh_list()
    page.open_entry(page.library.read(other))
    page.form.name.selectAll()
    qtbot.keyClicks(page.form.name, "third")
    assert page.save()
    assert page.editor.entry.path == other
    assert page.library.read(other).title == "third"


LOSSY = """# of run 5
name = "drill"
[[test]]
servers = 2
files_per_server = 10
per_round = 5
[[test.fault]]
at = 5
do = "udp-loss"
for = 20
percent = 2
[[test.fault]]
at = 40
do = "udp-loss"
for = 20
percent = 2
"""


def test_a_fault_that_a_run_has_met_is_shown_in_its_plan(page: PlansPage, qtbot) -> None:
    met = Met(1, "udp-loss", "", 41.2)
    page.open_fault(LOSSY, met)
    assert page.editor.entry.path is not None
    assert page.editor.text == LOSSY
    assert "as that run had it, is saved as drill.toml" in page.message.text.text()
    assert page.faults.lanes.current() == 1
    page.new_plan()
    page.open_fault(LOSSY, met)
    assert page.editor.entry.path.name == "drill.toml", "the same plan is opened, and no copy made"
    assert page.faults.lanes.current() == 1
    page.editor.set_text(LOSSY.replace("at = 40", "at = 44"))
    assert page.save()
    page.open_fault(LOSSY, met)
    assert page.editor.entry.path.name == "drill.toml", "its name is the same, and it still has such a fault"
    page.editor.set_text(LOSSY.replace("udp-loss", "wire-loss"))
    assert page.save()
    page.open_fault(LOSSY, met)
    assert page.editor.entry.path.name == "drill-2.toml"


def test_a_preset_is_never_deleted(page) -> None:
    before = len(page.list.entries())
    page.delete()
    assert "preset" in page.message.text.text()
    assert len(page.list.entries()) == before
