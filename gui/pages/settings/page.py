"""Settings: sections with a search over all of them, the chosen section, and Discard and Apply at the foot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from gui.hub.persistence import Key
from gui.models.keys import KeyRow
from gui.pages.settings.keys import KeysSection
from gui.pages.settings.presenter import BUS, DATABASE, SECRETS, SIGN_IN, HubFacts, SecretState, SignInFacts
from gui.pages.settings.rows import Section
from gui.pages.settings.sections import AppearanceSection, BusSection, DatabaseSection, HubSection, PeopleSection
from gui.pages.settings.shortcuts import ShortcutsSection
from gui.runner.checklist import Check
from gui.runner.settings import MachineSettings, default
from gui.widgets.dress import give_sheet
from gui.widgets.icons import icon, pixmap
from gui.widgets.parts import Elided, Ground, button, label, line
from gui.widgets.question import ask
from gui.widgets.theme import theme

SIDE = 248


class SectionButton(QPushButton):
    """An item of the list: icon, title, and how much of it differs from its default."""

    def __init__(self, section: Section) -> None:
        super().__init__()
        self.section = section
        self.setObjectName("sectionbutton")
        self.setCheckable(True)
        self.setAutoExclusive(True)
        self.setFixedHeight(32)
        self._picture = QLabel()
        self._words = label(section.title)
        self.count = label("", "caption")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 0, 12, 0)
        row.setSpacing(10)
        row.addWidget(self._picture)
        row.addWidget(self._words, 1)
        row.addWidget(self.count)
        for part in (self._picture, self._words, self.count):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.toggled.connect(lambda _on: self._restyle())
        theme().follow(self._restyle)
        self._restyle()

    def show_count(self, text: str) -> None:
        """``2 changed``, or ``3 found``."""
        self.count.setText(text)
        self.setAccessibleName(f"{self.section.title} {text}".strip())

    def sizeHint(self) -> QSize:
        return QSize(SIDE - 24, 32)

    def _restyle(self) -> None:
        on = self.isChecked()
        self._picture.setPixmap(pixmap(self.section.symbol, "accent_text" if on else "text2", 16, 2.0))
        colour = "accent_text" if on else "text"
        give_sheet(self._words, f"color: {theme().hex(colour)}; font-weight: {500 if on else 400};")
        give_sheet(self.count, f"color: {theme().hex('accent_text')};")
        back = theme().hex("select") if on else "transparent"
        give_sheet(
            self,
            f"#sectionbutton {{ border: 2px solid transparent; border-radius: 4px; background: {back}; }}"
            f"#sectionbutton:hover {{ background: {theme().hex('select' if on else 'hover')}; }}"
            f"#sectionbutton:focus {{ border-color: {theme().hex('focus')}; }}",
        )


class SettingsPage(Ground):
    """The page. Signals carry names of settings and texts; `secret_typed` the name of a password and what was typed."""

    edited = Signal(str, str)
    entered = Signal(str)
    restore_wanted = Signal(list)
    secret_typed = Signal(str, str)
    forget_wanted = Signal(str)
    apply_wanted = Signal()
    discard_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.bus, self.hub, self.people, self.keys = BusSection(), HubSection(), PeopleSection(), KeysSection()
        self.database, self.appearance, self.shortcuts = DatabaseSection(), AppearanceSection(), ShortcutsSection()
        self.sections: tuple[Section, ...] = (
            self.bus, self.hub, self.people, self.keys, self.database, self.appearance, self.shortcuts,
        )  # fmt: skip
        self._draft = MachineSettings({})
        self._file = ""
        self._mistakes: Mapping[str, str] = {}
        forms = (self.bus, self.hub, self.people, self.database)
        self._forms = {name: row for section in forms for name, row in section.rows.items()}
        self._secrets = {BUS: self.bus.secret, DATABASE: self.database.secret, SIGN_IN: self.people.secret}
        self._connect_rows()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self._build_side())
        row.addWidget(line("vertical"))
        row.addLayout(self._build_right(), 1)
        self.appearance.look_changed.connect(self._show_counts)
        theme().follow(self._restyle_foot)
        self.go("bus")
        self.show_settings(self._draft, {}, dirty=False)

    def _connect_rows(self) -> None:
        for row in self._forms.values():
            if row.name in SECRETS:
                continue
            row.changed.connect(self.edited)
            row.entered.connect(self.entered)
            row.restore_wanted.connect(lambda name: self.restore_wanted.emit([name]))
        for secret in self._secrets.values():
            secret.typed.connect(self.secret_typed)
            secret.forget_wanted.connect(self._forget)
        self.bus.kind.changed.connect(lambda _name, kind: self.bus.show_kind(kind))

    def _build_side(self) -> QWidget:
        self.search = QLineEdit()
        self.search.setPlaceholderText("Find a setting")
        self.search.setClearButtonEnabled(False)
        self.search.addAction(icon("search", "text2"), QLineEdit.ActionPosition.LeadingPosition)
        self.search.setAccessibleName("Find a setting")
        self.search.textChanged.connect(self.search_for)
        self.search.returnPressed.connect(self._go_to_found)
        self.search.installEventFilter(self)
        self.nothing = label("", "hint")
        self.nothing.setWordWrap(True)
        self.nothing.hide()
        column = QVBoxLayout()
        column.setContentsMargins(12, 12, 12, 12)
        column.setSpacing(2)
        column.addWidget(self.search)
        column.addSpacing(8)
        self.buttons: dict[str, SectionButton] = {}
        for section in self.sections:
            item = SectionButton(section)
            item.clicked.connect(lambda _on=False, name=section.name: self.go(name))
            self.buttons[section.name] = item
            column.addWidget(item)
        column.addWidget(self.nothing)
        column.addStretch(1)
        self.restore_all = button("Restore all defaults…", "reset", self._restore_all, kind="plain")
        column.addWidget(self.restore_all, 0, Qt.AlignmentFlag.AlignLeft)
        side = QWidget()
        side.setObjectName("side")
        side.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        side.setFixedWidth(SIDE)
        side.setLayout(column)
        return side

    def _build_right(self) -> QVBoxLayout:
        self.back = button("Set-up", "left", kind="plain", tip="Back to the steps of the set-up")
        self.back.hide()
        self.title = label("", "title")
        self.remark = Elided("", "secondary", least=80)
        self.restore_section = button("Restore section", "reset", self._restore_section, kind="plain")
        self.place = Elided("", "hint", least=80)
        head = QHBoxLayout()
        head.setContentsMargins(31, 14, 24, 14)
        head.setSpacing(12)
        head.addWidget(self.back)
        head.addWidget(self.title)
        head.addWidget(self.remark)
        head.addStretch(1)
        head.addWidget(self.restore_section)
        head.addWidget(self.place)
        self.notes = label("", "warn")
        self.notes.setWordWrap(True)
        self.notes.setContentsMargins(31, 0, 24, 8)
        self.notes.hide()
        self.stack = QStackedWidget()
        for section in self.sections:
            self.stack.addWidget(section)
        self._foot_icon = QLabel()
        self._foot_icon.setFixedWidth(16)
        self.outcome = Elided("", "", least=120)
        self.discard = button("Discard changes", action=self.discard_wanted.emit)
        self.apply = button("Apply", action=self.apply_wanted.emit, kind="primary", tip="Ctrl+Return")
        self.apply.setShortcut("Ctrl+Return")
        foot_holder = QWidget()  # of its own, or a sheet given to one of its parts would make the whole page one piece
        foot = QHBoxLayout(foot_holder)
        foot.setContentsMargins(31, 14, 24, 14)
        foot.setSpacing(8)
        foot.addWidget(self._foot_icon)
        foot.addWidget(self.outcome, 1)
        foot.addWidget(self.discard)
        foot.addWidget(self.apply)
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        right.addLayout(head)
        right.addWidget(self.notes)
        right.addWidget(self.stack, 1)
        right.addWidget(line())
        right.addWidget(foot_holder)
        return right

    # ---- where one is

    def section(self) -> str:
        """The name of the section that is shown."""
        shown = self.stack.currentWidget()
        return shown.name if isinstance(shown, Section) else ""

    def go(self, name: str) -> None:
        """Show a section."""
        section = next((section for section in self.sections if section.name == name), self.bus)
        self.stack.setCurrentWidget(section)
        self.buttons[section.name].setChecked(True)
        self.title.setText(section.title)
        self.remark.setText(section.remark)
        self._show_place()
        self._show_counts()

    def focus(self, name: str) -> None:
        """Put the focus into the field of a setting of this section."""
        shown = self.stack.currentWidget()
        row = shown.rows.get(name) if isinstance(shown, Section) else None
        if row is not None and isinstance(shown, Section):
            row.field().setFocus(Qt.FocusReason.OtherFocusReason)
            shown.ensureWidgetVisible(row)

    def search_for(self, text: str) -> None:
        """Show only what these words are in, in all sections."""
        words = text.lower().split()
        counts = {section.name: section.narrow(words) for section in self.sections}
        for name, item in self.buttons.items():
            item.setVisible(not words or counts[name] > 0)
        self.nothing.setText(f"No setting has “{text.strip()[:60]}”.")
        self.nothing.setVisible(bool(words) and not any(counts.values()))
        if words and not counts[self.section()]:
            found = next((name for name, count in counts.items() if count), "")
            if found:
                self.go(found)
        self._show_counts()

    def _go_to_found(self) -> None:
        shown = self.stack.currentWidget()
        field = shown.first_field() if isinstance(shown, Section) else None
        if field is not None:
            field.setFocus(Qt.FocusReason.TabFocusReason)

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        """Escape empties the search, Down goes to what was found."""
        if watched is self.search and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() == Qt.Key.Key_Escape and self.search.text():
                self.search.clear()
                return True
            if event.key() == Qt.Key.Key_Down:
                self._go_to_found()
                return True
        return False

    def show_back(self, call: Callable[[], object] | None) -> None:
        """Show the way back to where one came from; None: there is none."""
        self.back.setVisible(call is not None)
        self._back = call
        if not self.back.property("connected"):
            self.back.setProperty("connected", True)
            self.back.clicked.connect(lambda _on=False: self._back() if self._back is not None else None)

    _back: Callable[[], object] | None = None

    # ---- called by the presenter

    def show_settings(self, draft: MachineSettings, mistakes: Mapping[str, str], *, dirty: bool) -> None:
        """Show what the fields say, which of it is changed or wrong, and whether there is something to apply."""
        self._draft, self._mistakes = draft, mistakes
        for name, row in self._forms.items():
            if name in SECRETS:
                continue
            row.set_text(draft[name])
            changed = draft[name] != default(name)
            row.show_changed(changed=changed, default=default(name) if name != "bus.kind" else "")
            row.show_error(mistakes.get(name, ""))
        self.bus.show_kind(draft["bus.kind"])
        self.database.show_draft(draft, dirty=dirty)
        self.people.show_draft(draft)
        self.discard.setEnabled(dirty)
        self.apply.setEnabled(dirty and not mistakes)
        if mistakes:
            count = len(mistakes)
            self._foot(f"{count} value{'' if count == 1 else 's'} to correct", "bad")
        elif dirty:
            self._foot("Not applied yet", "info")
        elif self.outcome.property("colour") in ("bad", "info") and self.outcome.property("own"):
            self._foot("", "")
        self._show_counts()

    def show_place(self, file: str) -> None:
        """Where the settings are kept."""
        self._file = file
        self._show_place()

    def _show_place(self) -> None:
        places = {"keys": "kept in the workspace", "appearance": "kept with the window"}
        places["shortcuts"] = places["appearance"]
        self.place.setText(places.get(self.section(), f"kept in {self._file}" if self._file else ""))

    def show_notes(self, notes: Sequence[str]) -> None:
        """What is to be known of the file, or of the environment."""
        self.notes.setText("\n".join(notes))
        self.notes.setVisible(bool(notes))

    def show_secret(self, name: str, state: SecretState) -> None:
        """How it stands with a password."""
        self._secrets[name].show_state(place=state.place, kept=state.kept, typed=state.typed, trouble=state.trouble)

    def show_checks(self, name: str, checks: Sequence[Check], *, running: bool) -> None:
        """What a test has found."""
        (self.bus if name == BUS else self.database).show_checks(checks, running=running)

    def show_hub(self, facts: HubFacts) -> None:
        """How it stands with the hub."""
        self.hub.show_hub(facts)

    def show_sign_in(self, facts: SignInFacts) -> None:
        """How it stands with the sign-in of people."""
        self.people.show_sign_in(facts)

    def show_lab(self, text: str, directory: str) -> None:
        """Offer a lab that runs here."""
        self.bus.show_lab(text, directory, self._draft["bus.kind"])

    def show_open_database(self, shown: str, default: str) -> None:
        """Which database is open."""
        self.database.show_open(shown, default)

    def show_keys(self, rows: Sequence[KeyRow] | None, trouble: str) -> None:
        """The keys and invitations."""
        self.keys.show_keys(rows, trouble)

    def show_new_key(self, key: Key) -> None:
        """The secret of a new key."""
        self.keys.show_new_key(key)

    def show_outcome(self, text: str, colour: str) -> None:
        """What became of it, at the foot."""
        self._foot(text, colour, own=False)

    # ---- inside

    def _foot(self, text: str, colour: str, *, own: bool = True) -> None:
        self.outcome.setText(text)
        self.outcome.setProperty("colour", colour)
        self.outcome.setProperty("own", own)
        self._restyle_foot()

    def _restyle_foot(self) -> None:
        symbols = {"bad": "bad", "info": "info", "ok": "ok", "warn": "warn"}
        colour = str(self.outcome.property("colour") or "")
        give_sheet(self.outcome, f"color: {theme().hex(colour or 'text2')};")
        if self.outcome.text() and colour in symbols:
            self._foot_icon.setPixmap(pixmap(symbols[colour], colour, 14, 2.0))
        else:
            self._foot_icon.clear()

    def _show_counts(self) -> None:
        searching = bool(self.search.text().split())
        for name, item in self.buttons.items():
            if searching:
                count = item.section.refresh() or (1 if item.isVisible() else 0)
                item.show_count(f"{count} found")
            else:
                changed = len(self._changed_in(name))
                item.show_count(f"{changed} changed" if changed else "")
        self.restore_section.setVisible(bool(self._changed_in(self.section())))

    def _changed_in(self, section: str) -> list[str]:
        if section == "appearance":
            return self.appearance.changed_names()
        if section == "shortcuts":
            return self.shortcuts.changed_names()
        return list(self._draft.changed(f"{section}."))

    def _restore_section(self) -> None:
        section = self.section()
        names = self._changed_in(section)
        if section == "appearance":
            for name in names:
                self.appearance.restore(name)
        elif section == "shortcuts":
            self.shortcuts.restore_all()
        else:
            self.restore_wanted.emit(names)
        self._show_counts()

    def _restore_all(self) -> None:
        names = [name for section in self.sections for name in self._changed_in(section.name)]
        words = f"{len(names)} value{'' if len(names) == 1 else 's'} in {', '.join(self._changed_sections())}."
        if not names:
            self.show_outcome("Every value is its default.", "ok")
            return
        ask(self, "Restore all defaults?", f"{words} Passwords and keys stay.", "Restore", self._restore_everything)

    def _changed_sections(self) -> list[str]:
        return [section.title for section in self.sections if self._changed_in(section.name)]

    def _restore_everything(self) -> None:
        for name in self.appearance.changed_names():
            self.appearance.restore(name)
        self.shortcuts.restore_all()
        self.restore_wanted.emit(list(self._draft.changed()))
        self._show_counts()

    def _forget(self, name: str) -> None:
        if name == SIGN_IN:
            whom = f"{self._draft['signin.client_id']} at {self._draft['signin.provider']}"
            after = "Nobody can sign in with a browser until it is given again; who is signed in stays so."
            ask(self, f"Forget the secret of {whom}?", after, "Forget", lambda: self.forget_wanted.emit(name))
            return
        what = self._draft["bus.address"] if name == BUS else self._draft["database.address"]
        who = f"{self._draft['bus.user']} at {what}" if name == BUS else what
        after = "The next connection needs it again." + (
            " The open workspace keeps its connection." if name == BUS else ""
        )
        ask(self, f"Forget the password of {who}?", after, "Forget", lambda: self.forget_wanted.emit(name))
