"""What is selected in a timeline: what was lost, with which datagram, where, how sure, and the requests."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from gui.models.rows import Column
from gui.models.timeline import Group, Miss, Part
from gui.reconcile import injected_first
from gui.report import numbers
from gui.store import VerdictKind
from gui.widgets.dress import give_sheet
from gui.widgets.icons import pixmap
from gui.widgets.parts import Elided, button, label, line
from gui.widgets.plots import clock
from gui.widgets.table import Empty, Table
from gui.widgets.theme import theme

WIDTH = 332
SURE = {
    "proven": ("ok", "ok", "by the numbers of the datagrams"),
    "certain": ("ok", "ok", "the one that lost it said so"),
    "probably": ("warn", "warn", "only the rule fits"),
    "unknown": ("unreq", "mute", "no stage has reported it"),
}

MISS_COLUMNS: list[Column[Miss]] = [
    Column("file", "File", lambda m: m.request.path, width=140, stretch=True, cut="left"),
    Column("tag", "Tag", lambda m: m.request.tag, width=84, kind="fixed"),
    Column("closed", "Closed", lambda m: m.request.t_close, lambda m: numbers.clock(m.request.t_close), "right", 112,
           colour=lambda _m: "text2"),
    Column("server", "Server", lambda m: m.request.server, width=72, shown=False),
    Column("cause", "Cause", lambda m: injected_first(m.request.answer), width=120, shown=False),
]  # fmt: skip


class SelectedPanel(QWidget):
    """The side of a timeline. Enter, or [Evidence], opens the request under the cursor."""

    closed = Signal()
    evidence_wanted = Signal(int)
    filter_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(WIDTH)
        self.group: Group | None = None
        """What is selected; None where nothing was lost in a range."""
        self._sure = ""
        self.title = Elided("Selected", "section", least=80)
        self.when = Elided("", "secondary", least=60)
        self.close_button = button("", "x", self.closed.emit, kind="plain", tip="Select nothing")
        head = QHBoxLayout()
        head.setContentsMargins(16, 6, 8, 6)
        head.setSpacing(8)
        head.addWidget(self.title)
        head.addWidget(self.when, 1)
        head.addWidget(self.close_button)
        self._picture = QLabel()
        self.lost = Elided("", "section", least=80)
        lost = QHBoxLayout()
        lost.setContentsMargins(16, 4, 16, 4)
        lost.setSpacing(8)
        lost.addWidget(self._picture)
        lost.addWidget(self.lost, 1)
        self._facts = QFormLayout()
        self._facts.setContentsMargins(16, 0, 16, 10)
        self._facts.setHorizontalSpacing(12)
        self._facts.setVerticalSpacing(4)
        self._facts_holder = QWidget()
        self._facts_holder.setLayout(self._facts)
        self.requests = Table(
            "timeline-requests",
            "Requests",
            MISS_COLUMNS,
            key=lambda miss: miss.request.id,
            empty=Empty("check", "Nothing was lost in this time"),
        )
        self.requests.bar_holder.hide()
        self.requests.activated.connect(lambda miss: self.evidence_wanted.emit(miss.request.id))
        self.evidence_button = button("Evidence  Enter", "search", self.open_evidence)
        self.evidence_button.setAccessibleName("Evidence")
        self.filter_button = button("Filter requests", "filter", self.filter_wanted.emit)
        foot = QHBoxLayout()
        foot.setContentsMargins(16, 8, 16, 8)
        foot.setSpacing(8)
        foot.addWidget(self.evidence_button)
        foot.addWidget(self.filter_button)
        foot.addStretch(1)
        inner = QVBoxLayout()
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(0)
        inner.addLayout(head)
        inner.addLayout(lost)
        inner.addWidget(self._facts_holder)
        inner.addWidget(line())
        inner.addWidget(self.requests, 1)
        inner.addWidget(line())
        inner.addLayout(foot)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(line("vertical"))
        row.addLayout(inner, 1)
        theme().follow(self._restyle)

    def show_group(self, part: Part, group: Group) -> None:
        """Show these misses."""
        datagrams = {miss.request.lost_with for miss in group.misses if miss.request.lost_with}
        count = len(group.misses)
        which = f", {len(datagrams):,} datagram{'s' * (len(datagrams) > 1)}" if datagrams else ""
        self.when.setText(f"{clock(group.begin)}{which}")
        self._fill(part, group, _lost_words(group, count, together=len(datagrams) == 1))

    def show_range(self, part: Part, low: float, high: float, group: Group | None) -> None:
        """Show what was lost in a range of time."""
        self.when.setText(f"{clock(low)} – {clock(high)}")
        count = len(group.misses) if group is not None else 0
        self._fill(part, group, _lost_words(group, count, together=False))

    def show_nothing(self) -> None:
        """Nothing is selected."""
        self.group = None
        self.requests.set_rows(())

    def open_evidence(self) -> None:
        """Open the request under the cursor, else the first."""
        miss: Miss | None = self.requests.current() or self.requests.model.row_number(0)
        if miss is not None:
            self.evidence_wanted.emit(miss.request.id)

    # ---- inside

    def _fill(self, part: Part, group: Group | None, words: str) -> None:
        self.group = group
        self.lost.setText(words)
        self._sure = group.sure if group is not None else ""
        while self._facts.rowCount():
            self._facts.removeRow(0)
        for name, value in self._all_facts(part, group):
            shown = Elided(" ".join(value.split()), least=60)
            shown.setAlignment(Qt.AlignmentFlag.AlignRight)
            self._facts.addRow(label(name, "secondary"), shown)
        if group is not None:
            self._facts.addRow(label("How sure", "secondary"), self._sure_row())
        self.requests.set_rows(group.misses if group is not None else ())
        if group is not None:
            self.requests.select_key(group.misses[0].request.id)
        for one in (self.evidence_button, self.filter_button):
            one.setEnabled(group is not None)
        self._restyle()

    def _all_facts(self, part: Part, group: Group | None) -> list[tuple[str, str]]:
        facts = list(group.facts) if group is not None else []
        begin, end = (group.begin, group.end) if group is not None else (0.0, 0.0)
        near = [event for event in part.events if event.at <= end + 5 and (event.until or event.at) >= begin - 5]
        if group is not None and near:
            facts.append(("At that time", near[0].text + (f" and {len(near) - 1} more" if len(near) > 1 else "")))
        return facts

    def _sure_row(self) -> QWidget:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        symbol, colour, why = SURE[self._sure]
        picture, word = QLabel(), label(self._sure)
        picture.setPixmap(pixmap(symbol, colour, 14, 2.0))
        give_sheet(word, f"color: {theme().hex(colour)};")
        word.setToolTip(why)
        row.addStretch(1)
        row.addWidget(picture)
        row.addWidget(word)
        return holder

    def _restyle(self) -> None:
        bad = self.group is not None
        self._picture.setPixmap(pixmap("miss" if bad else "check", "bad" if bad else "text2", 16, 2.0))
        give_sheet(self.lost, f"color: {theme().hex('bad' if bad else 'text')};")


def _lost_words(group: Group | None, count: int, *, together: bool) -> str:
    if group is None:
        return "Nothing was lost in this time"
    kinds = {miss.request.verdict for miss in group.misses}
    some = f"{count:,} request{'s' * (count != 1)}"
    if kinds == {VerdictKind.MISSING}:
        return f"{some} lost with it" if together else f"{some} lost"
    words = {VerdictKind.WRONG_BYTES: "with wrong bytes", VerdictKind.DUPLICATE: "recorded twice"}
    if len(kinds) == 1 and (kind := kinds.pop()) in words:
        return f"{some} {words[kind]}"
    return f"{some} lost or recorded wrongly"
