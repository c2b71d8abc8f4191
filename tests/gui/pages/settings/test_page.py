"""Settings by keyboard and mouse: search, mistakes beside their fields, changed values, keys, appearance, shortcuts."""

from __future__ import annotations

import time

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QDialog, QLabel, QMessageBox, QPushButton, QWidget

from gui.hub.keys import new_key
from gui.models.keys import KeyRow
from gui.pages.settings.keys import NewKeySheet, SecretSheet
from gui.pages.settings.page import SettingsPage
from gui.pages.settings.presenter import HubFacts, SecretState, SignInFacts
from gui.pages.settings.shortcuts import KeySheet
from gui.runner.checklist import Check
from gui.runner.settings import MachineSettings
from gui.widgets.theme import theme

NOW = time.time()


@pytest.fixture
def page(show, qtbot) -> SettingsPage:
    theme().set_mode("system")
    made = SettingsPage()
    made.show_place("/data/settings.toml")
    show(made)
    with qtbot.waitActive(made):
        made.activateWindow()
    return made


@pytest.fixture
def dialog(page, qtbot):
    """The dialog of this type that is open now."""

    def find(kind: type[QDialog] = QDialog):
        qtbot.waitUntil(lambda: any(d.isVisible() for d in page.findChildren(kind)))
        return next(d for d in page.findChildren(kind) if d.isVisible())

    return find


def click(qtbot, widget: QWidget) -> None:
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)


def press(qtbot, box: QDialog, text: str) -> None:
    click(qtbot, next(b for b in box.findChildren(QPushButton) if b.text() == text))


def edit(page: SettingsPage, **values: str) -> None:
    """What the presenter answers to an edit."""
    settings = MachineSettings({name.replace("__", "."): text for name, text in values.items()})
    mistakes = {name: text for name, text in settings.mistakes().items() if not name.startswith("hub.c")}
    page.show_settings(settings, mistakes, dirty=bool(values))


def test_typing_tells_each_change_and_the_end_of_the_field(page, qtbot) -> None:
    changed: list[tuple[str, str]] = []
    left: list[str] = []
    page.edited.connect(lambda name, text: changed.append((name, text)))
    page.entered.connect(left.append)
    page.bus.address.box.setFocus()
    qtbot.keyClicks(page.bus.address.box, "mq")
    qtbot.keyClick(page.bus.address.box, Qt.Key.Key_Tab)
    assert changed == [("bus.address", "m"), ("bus.address", "mq")]
    assert left == ["bus.address"]
    assert page.bus.user.box.hasFocus(), "Tab goes on to the next field"


def test_a_mistake_stands_beside_its_field_and_stops_apply(page, qtbot, texts) -> None:
    edit(page, bus__address="mq.example.org", hub__port="x")
    assert page.bus.address.wrong.isVisible()
    assert page.bus.address.error.text() == "Expected amqp://HOST:PORT/VHOST or amqps://HOST:PORT/VHOST."
    assert page.bus.address.box.property("invalid") == "true"
    assert page.bus.address.box.accessibleDescription().startswith("Expected amqp://")
    assert page.outcome.text() == "2 values to correct"
    assert (page.apply.isEnabled(), page.discard.isEnabled()) == (False, True)
    edit(page, bus__address="amqp://mq.example.org")
    assert not page.bus.address.wrong.isVisible()
    assert page.apply.isEnabled()
    asked: list[bool] = []
    page.apply_wanted.connect(lambda: asked.append(True))
    page.bus.address.box.setFocus()
    qtbot.keyClick(page.bus.address.box, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: asked == [True])


def test_what_differs_from_its_default_is_marked_and_can_be_restored(page, qtbot) -> None:
    edit(page, bus__user="ada", bus__packets_queue="q", hub__port="9000")
    assert [page.buttons[name].count.text() for name in ("bus", "hub", "database")] == ["2 changed", "1 changed", ""]
    assert page.bus.user.restore.isVisible()
    assert page.bus.user.hint.text().endswith("Default: guest")
    wanted: list[list[str]] = []
    page.restore_wanted.connect(wanted.append)
    click(qtbot, page.bus.user.restore)
    click(qtbot, page.restore_section)
    assert wanted == [["bus.user"], ["bus.user", "bus.packets_queue"]]
    edit(page)
    assert not page.bus.user.restore.isVisible()
    assert not page.restore_section.isVisible()


def test_all_defaults_are_restored_after_a_question_that_says_how_many(page, qtbot, dialog) -> None:
    edit(page, bus__user="ada", hub__port="9000")
    wanted: list[list[str]] = []
    page.restore_wanted.connect(wanted.append)
    click(qtbot, page.restore_all)
    box = dialog(QMessageBox)
    assert box.informativeText() == "2 values in Bus, Hub and TLS. Passwords and keys stay."
    press(qtbot, box, "Cancel")
    assert wanted == []
    click(qtbot, page.restore_all)
    press(qtbot, dialog(QMessageBox), "Restore")
    assert wanted == [["bus.user", "hub.port"]]


def test_the_kind_of_bus_shows_its_own_fields_only(page, qtbot) -> None:
    edit(page)
    kinds: list[tuple[str, str]] = []
    page.edited.connect(lambda *change: kinds.append(change))
    assert page.bus.address.isVisible()
    click(qtbot, page.bus.kind.buttons["folder"])
    assert (page.bus.address.isVisible(), page.bus.folder.isVisible()) == (False, True)
    click(qtbot, page.bus.kind.buttons["lab"])
    assert (page.bus.lab.isVisible(), page.bus.folder.isVisible(), page.bus.names[0].isVisible()) == (
        True,
        False,
        False,
    )
    assert kinds == [("bus.kind", "folder"), ("bus.kind", "lab")]


def test_a_lab_that_runs_is_offered_and_used_by_a_click(page, qtbot) -> None:
    wanted: list[str] = []
    page.bus.lab_wanted.connect(wanted.append)
    assert not page.bus.offer.isVisible()
    page.show_lab("A lab with 4 servers runs here", "/run/tally-lab")
    assert page.bus._offer_text.text() == "A lab with 4 servers runs here: use it"
    press(qtbot, page.bus.offer, "Use it")
    assert wanted == ["/run/tally-lab"]
    edit(page, bus__kind="lab", bus__lab="/run/tally-lab")
    assert not page.bus.offer.isVisible(), "it is used already"


def test_the_search_goes_over_all_sections(page, qtbot) -> None:
    page.search.setFocus()
    qtbot.keyClicks(page.search, "certificate")
    shown = [name for name, item in page.buttons.items() if item.isVisible()]
    assert shown == ["bus", "hub", "signin"]
    assert page.buttons["hub"].count.text() == "3 found"
    assert page.bus.authority.isVisible()
    assert not page.bus.address.isVisible()
    click(qtbot, page.buttons["hub"])
    assert page.hub.rows["hub.certificate"].isVisible()
    assert not page.hub.rows["hub.port"].isVisible()
    qtbot.keyClick(page.search, Qt.Key.Key_Return)
    assert page.hub.rows["hub.certificate"].field().hasFocus()
    page.search.setFocus()
    qtbot.keyClick(page.search, Qt.Key.Key_Escape)
    assert page.search.text() == ""
    assert page.hub.rows["hub.port"].isVisible()
    qtbot.keyClicks(page.search, "zoom")
    assert page.section() == "appearance"
    qtbot.keyClicks(page.search, "zzz")
    assert page.nothing.isVisible()
    assert not any(item.isVisible() for item in page.buttons.values())


def test_a_password_is_never_shown_and_where_it_is_kept_is_said(page, qtbot, dialog) -> None:
    typed: list[tuple[str, str]] = []
    forgotten: list[str] = []
    page.secret_typed.connect(lambda *change: typed.append(change))
    page.forget_wanted.connect(forgotten.append)
    page.show_secret("bus", SecretState("keyring", kept=True))
    box = page.bus.secret.box
    assert (box.text(), box.placeholderText()) == ("", "kept in the keyring")
    qtbot.keyClicks(box, "ab")
    assert typed == [("bus", "a"), ("bus", "ab")]
    assert box.displayText() != "ab"
    page.show_secret("bus", SecretState("/d/secrets.json", kept=True))
    assert "No keyring runs here" in page.bus.secret.hint.text()
    edit(page, bus__address="amqp://mq.example.org", bus__user="ada")
    click(qtbot, page.bus.secret.forget)
    question = dialog(QMessageBox)
    assert question.text() == "Forget the password of ada at amqp://mq.example.org?"
    press(qtbot, question, "Forget")
    assert forgotten == ["bus"]
    page.show_secret("bus", SecretState("keyring", trouble="The keyring is locked."))
    assert page.bus.secret.error.text() == "The keyring is locked."


def test_the_outcome_of_a_test_is_lines_with_word_and_remedy(page, texts, qtbot) -> None:
    checks = [
        Check("reached", "Broker", "ok", "mq answers in 3 ms."),
        Check("policies", "Policies that discard", "skipped", "AMQP does not show them.", "Enable the management."),
    ]
    page.show_checks("bus", checks[:1], running=True)
    assert "testing" in texts(page)
    page.show_checks("bus", checks, running=False)
    said = {"works; 1 not checked", "Broker", "ok", "not checked", "AMQP does not show them.", "Enable the management."}
    qtbot.waitUntil(lambda: said <= set(texts(page)))
    page.show_checks("bus", [Check("user", "User", "failed", "No."), checks[0]], running=False)
    assert "this bus cannot be used yet" in texts(page)
    page.show_checks("bus", [], running=False)
    assert not page.bus.found.isVisible()


def test_the_hub_shows_its_fingerprint_and_asks_to_be_reopened(page, qtbot) -> None:
    page.go("hub")
    page.show_hub(HubFacts())
    assert page.hub.pin.placeholderText() == "made when the hub first starts"
    assert not page.hub.reopen.isVisible()
    page.show_hub(HubFacts("wss://h:8765", 2, "sha256:" + "ab" * 32, reopen=True))
    click(qtbot, page.hub.copy)
    assert QGuiApplication.clipboard().text() == "sha256:" + "ab" * 32
    asked: list[bool] = []
    page.hub.reopen_wanted.connect(lambda: asked.append(True))
    click(qtbot, page.hub.reopen)
    assert asked == [True]


def rows() -> list[KeyRow]:
    return [
        KeyRow("shared-1", "shared key", "in use", "agent:client", "anybody", NOW),
        KeyRow("i-1", "invitation", "in use", "agent:client", "one agent", NOW - 5, NOW + 60, "0 of 1"),
        KeyRow("k-2", "key", "revoked", "operator", "ada", NOW - 9),
    ]


def test_a_key_is_revoked_after_a_question_that_names_it(page, qtbot, dialog) -> None:
    page.go("keys")
    page.show_keys(rows(), "")
    revoked: list[list[KeyRow]] = []
    page.keys.revoke_wanted.connect(revoked.append)
    assert not page.keys.revoke.isEnabled()
    page.keys.table.select_key(("key", "k-2"))
    assert not page.keys.revoke.isEnabled(), "it is revoked already"
    page.keys.table.select_key(("invitation", "i-1"))
    click(qtbot, page.keys.revoke)
    question = dialog(QMessageBox)
    assert question.text() == "Revoke the invitation i-1?"
    assert question.textFormat() == Qt.TextFormat.PlainText
    press(qtbot, question, "Revoke")
    assert [row.id for row in revoked[0]] == ["i-1"]


def test_a_key_is_created_and_its_secret_is_shown_once(page, qtbot, dialog) -> None:
    page.go("keys")
    page.show_keys(rows(), "")
    wanted: list[tuple] = []
    page.keys.create_wanted.connect(lambda *what: wanted.append(what))
    click(qtbot, page.keys.create_button)
    sheet = dialog(NewKeySheet)
    qtbot.keyClicks(sheet.name, "site-a")
    for box in sheet.scopes.values():
        if box.isChecked():
            box.click()
    assert not sheet.make.isEnabled(), "a key that allows nothing is none"
    sheet.scopes["agent:server"].click()
    press(qtbot, sheet, "Create key")
    assert wanted == [("site-a", ["agent:server"], "")]
    page.show_new_key(new_key(["agent:server"], NOW, kid="site-a"))
    shown = dialog(SecretSheet)
    press(qtbot, shown, "Copy")
    assert QGuiApplication.clipboard().text() == shown.secret.text()


def test_without_a_workspace_the_keys_say_why_and_offer_the_way(page, qtbot, texts) -> None:
    page.go("keys")
    page.show_keys(None, "")
    qtbot.waitUntil(lambda: "They belong to a workspace, and none is open." in texts(page))
    opened: list[bool] = []
    page.keys.open_wanted.connect(lambda: opened.append(True))
    press(qtbot, page.keys.table, "Open the workspace")
    assert opened == [True]
    assert not page.keys.create_button.isEnabled()


def test_appearance_is_used_and_kept_at_once(page, qtbot) -> None:
    page.go("appearance")
    click(qtbot, page.appearance.mode.buttons["dark"])
    assert (theme().mode, QSettings().value("theme")) == ("dark", "dark")
    page.appearance.zoom.box.setFocus()
    qtbot.keyClick(page.appearance.zoom.box, Qt.Key.Key_Down)
    page.appearance.zoom.box.activated.emit(page.appearance.zoom.box.currentIndex())
    assert QSettings().value("appearance/zoom") == "110"
    click(qtbot, page.appearance.format.buttons["locale"])
    assert QSettings().value("appearance/format") == "locale"
    assert page.buttons["appearance"].count.text() == "3 changed"
    click(qtbot, page.appearance.zoom.restore)
    assert QSettings().value("appearance/zoom") == "100"
    click(qtbot, page.restore_section)
    assert page.appearance.changed_names() == []
    assert theme().mode == "system"


@pytest.fixture
def actions(page) -> dict[str, QAction]:
    made = {}
    for name, text, key in (("open", "&Open…", "Ctrl+O"), ("save", "Save", "Ctrl+S"), ("light", "Light", "")):
        action = QAction(text, page)
        action.setShortcut(QKeySequence(key))
        action.setProperty("own_key", key)
        made[name] = action
    page.shortcuts.connect_actions(made)
    page.go("shortcuts")
    return made


def test_a_shortcut_is_changed_by_pressing_the_new_one(page, qtbot, dialog, actions) -> None:
    page.shortcuts.table.select_key("light")
    click(qtbot, page.shortcuts.change_button)
    sheet = dialog(KeySheet)
    qtbot.keyClick(sheet.keys, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert sheet.error.text() == "This is the key of “Save”."
    assert not sheet.use.isEnabled()
    sheet.keys.clear()
    qtbot.keyClick(sheet.keys, Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    press(qtbot, sheet, "Use it")
    assert actions["light"].shortcut() == QKeySequence("Ctrl+L")
    assert QSettings().value("shortcuts/light") == "Ctrl+L"
    assert page.shortcuts.changed_names() == ["light"]
    click(qtbot, page.shortcuts.restore_button)
    assert actions["light"].shortcut().isEmpty()
    assert QSettings().value("shortcuts/light") is None


def test_an_action_is_found_by_its_name(page, qtbot, actions) -> None:
    qtbot.keyClicks(page.search, "open")
    assert page.buttons["shortcuts"].isVisible()
    page.go("shortcuts")
    assert [row.name for row in page.shortcuts.table.model.rows.visible] == ["open"]
    page.search.clear()
    assert len(page.shortcuts.table.model.rows.visible) == 3


def test_a_key_that_was_changed_is_there_after_a_restart(qtbot) -> None:
    from gui.widgets.frame import Frame

    QSettings().setValue("shortcuts/open", "Ctrl+Alt+O")
    frame = Frame()
    qtbot.addWidget(frame)
    action = frame.add_action("File", "open", "Open", "Ctrl+O", lambda: None)
    assert action.shortcut() == QKeySequence("Ctrl+Alt+O")
    assert action.property("own_key") == "Ctrl+O"


def test_hostile_text_is_text_everywhere(page, hostile, qtbot) -> None:
    bad = "\n".join(hostile)
    page.show_notes(hostile)
    page.show_outcome(bad, "bad")
    page.show_checks("bus", [Check("a", text, "failed", text, text, (text,)) for text in hostile], running=False)
    page.show_lab(bad, bad)
    page.show_hub(HubFacts(bad, 1, bad, reopen=True))
    page.show_open_database(bad, bad)
    page.show_keys([KeyRow(text, "key", "in use", text, text, NOW) for text in hostile], "")
    page.show_secret("bus", SecretState(bad, trouble=bad))
    page.show_new_key(new_key(["agent:client"], NOW, kid="<b>x</b>"))
    edit(page, bus__address=bad, bus__user=bad)
    for name in page.buttons:
        page.go(name)
        qtbot.wait(1)
    labels = page.findChildren(QLabel)
    assert labels
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in labels if label.text())


def test_it_fits_a_small_window(page, qtbot) -> None:
    page.resize(1208, 616)
    for name in page.buttons:
        page.go(name)
        qtbot.wait(1)
        assert page.apply.geometry().right() <= page.width()
        assert page.stack.currentWidget().widget().width() <= page.stack.width()
    assert page.minimumSizeHint().width() <= 1048


def test_the_command_palette_finds_settings(qtbot, tmp_path) -> None:
    from types import SimpleNamespace

    from gui.pages.settings.part import Part
    from gui.widgets.frame import Frame

    frame = Frame()
    qtbot.addWidget(frame)
    gone: list[tuple[str, object]] = []
    desk = SimpleNamespace(
        frame=frame, data=tmp_path, workspace=None, go=lambda page, **place: gone.append((page, place["section"]))
    )
    part = Part(desk)
    qtbot.addWidget(part.page)
    first = next(iter(part.found("certif auth")))
    assert (first.title, first.detail) == ("Certificate authority: setting", "Bus")
    first.call()
    assert gone == [("settings", "bus")]


def test_what_became_of_it_stays_at_the_foot_until_something_is_changed(page) -> None:
    edit(page, bus__user="ada")
    assert page.outcome.text() == "Not applied yet"
    page.show_outcome("The queue mine is left out.", "info")
    assert page.outcome.text() == "The queue mine is left out."
    edit(page)
    page.show_outcome("Kept; the next run uses it.", "ok")
    edit(page)
    assert page.outcome.text() == "Kept; the next run uses it."


def test_people_shows_what_its_provider_needs(page, qtbot) -> None:
    page.go("signin")
    edit(page, signin__provider="github", signin__client_id="c1")
    assert page.people.github.isVisible()
    assert not page.people.scopes.isVisible()
    edit(page, signin__provider="https://idp.example", signin__client_id="c1")
    assert not page.people.github.isVisible()
    assert page.people.scopes.isVisible()
    edit(page, signin__provider="github", signin__observers="a b")
    assert page.people.observers.error.text() == "Expected a GitHub login or ORG/TEAM, got 'a b'."
    assert page.people.client.error.text().startswith("The provider needs to know who asks")
    assert not page.apply.isEnabled()


def test_people_shows_the_address_to_register_and_leads_to_the_page(page, qtbot) -> None:
    page.go("signin")
    page.show_sign_in(SignInFacts())
    assert page.people.back.placeholderText() == "known when the hub has started"
    assert not page.people.open.isEnabled()
    page.show_sign_in(
        SignInFacts("ok", "by GitHub, 1 sign-in now", "ok", "https://h:8765/", "https://h:8765/signin/back")
    )
    assert page.people.back.text() == "https://h:8765/signin/back"
    assert page.people.open.isEnabled()
    typed: list[tuple[str, str]] = []
    page.secret_typed.connect(lambda name, text: typed.append((name, text)))
    qtbot.keyClicks(page.people.secret.box, "x")
    assert typed == [("signin", "x")]
    page.show_secret("signin", SecretState("keyring", kept=True))
    assert page.people.secret.forget.isVisible()


def test_forgetting_the_clients_secret_asks(page, qtbot, dialog) -> None:
    page.go("signin")
    edit(page, signin__provider="github", signin__client_id="c1")
    page.show_secret("signin", SecretState("keyring", kept=True))
    forgotten: list[str] = []
    page.forget_wanted.connect(forgotten.append)
    click(qtbot, page.people.secret.forget)
    question = dialog(QMessageBox)
    assert question.text() == "Forget the secret of c1 at github?"
    press(qtbot, question, "Forget")
    assert forgotten == ["signin"]
