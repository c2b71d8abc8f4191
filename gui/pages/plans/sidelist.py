"""The list at the left of Plans: presets with their tests, and the user's own plans."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from gui.models.plans import PlanEditor, PlanEntry
from gui.widgets.parts import button, label, plain_tip


class PlanList(QWidget):
    """The list at the left: presets with their tests, and the user's own plans."""

    chosen = Signal(object, int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("side")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(248)
        self.filter = QLineEdit()
        self.filter.setObjectName("filter")
        self.filter.setPlaceholderText("Filter plans")
        self.filter.setAccessibleName("Filter plans")
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(self._filter)
        self.add_button = button("", "plus", tip="New plan  Ctrl+N")
        self.import_button = button("", "import", tip="Import a plan file")
        top = QHBoxLayout()
        top.setContentsMargins(12, 10, 12, 6)
        top.addWidget(self.filter, 1)
        top.addWidget(self.add_button)
        top.addWidget(self.import_button)
        self.tree = QTreeWidget()
        self.tree.setObjectName("sidelist")
        self.tree.setHeaderHidden(True)
        self.tree.setColumnCount(2)
        self.tree.setRootIsDecorated(True)
        self.tree.setIndentation(16)
        self.tree.header().setStretchLastSection(False)
        self.tree.header().setSectionResizeMode(0, self.tree.header().ResizeMode.Stretch)
        self.tree.header().setSectionResizeMode(1, self.tree.header().ResizeMode.ResizeToContents)
        self.tree.header().setMinimumSectionSize(56)
        self.tree.setAccessibleName("Plans")
        self.tree.currentItemChanged.connect(self._changed)
        hint = label("Drop a plan (.toml) here", "hint")
        hint.setContentsMargins(12, 4, 12, 10)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(top)
        column.addWidget(self.tree, 1)
        column.addWidget(hint)

    def show_plans(self, presets: Sequence[PlanEntry], mine: Sequence[PlanEntry], current: PlanEntry) -> None:
        with QSignalBlocker(self.tree):
            self.tree.clear()
            for title, entries in (("Presets", presets), ("Mine", mine)):
                group = QTreeWidgetItem([title, f"{len(entries)}" if entries else "none"])
                font = group.font(0)
                font.setWeight(font.Weight.DemiBold)
                group.setFont(0, font)
                group.setFlags(Qt.ItemFlag.ItemIsEnabled)
                group.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.tree.addTopLevelItem(group)
                for entry in entries:
                    self._add(group, entry, current)
                group.setExpanded(True)

    def entries(self) -> list[PlanEntry]:
        """All plans of the list."""
        groups = [self.tree.topLevelItem(place) for place in range(self.tree.topLevelItemCount())]
        items = [group.child(number) for group in groups if group for number in range(group.childCount())]
        return [item.data(0, Qt.ItemDataRole.UserRole)[0] for item in items if item]

    def _add(self, group: QTreeWidgetItem, entry: PlanEntry, current: PlanEntry) -> None:
        plan = PlanEditor(entry).plan
        tests = plan.tests if plan else ()
        remark = "invalid" if plan is None else f"{len(tests)} tests" if len(tests) > 1 else ""
        item = QTreeWidgetItem([entry.title, remark])
        item.setData(0, Qt.ItemDataRole.UserRole, (entry, 0))
        about = entry.broken or (entry.preset.about if entry.preset else str(entry.path))
        item.setToolTip(0, plain_tip(f"{entry.title}\n{about}"))
        item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        group.addChild(item)
        if len(tests) > 1:
            for number, test in enumerate(tests):
                child = QTreeWidgetItem([test.name or f"Test {number + 1}", f"{test.per_round:,}/round"])
                child.setData(0, Qt.ItemDataRole.UserRole, (entry, number))
                child.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                item.addChild(child)
            item.setExpanded(entry.preset is not None)
        if entry.same_as(current):
            self.tree.setCurrentItem(item)

    def _changed(self, item: QTreeWidgetItem | None) -> None:
        data = item.data(0, Qt.ItemDataRole.UserRole) if item else None
        if data:
            self.chosen.emit(*data)

    def _filter(self, text: str) -> None:
        wanted = text.strip().lower()
        for place in range(self.tree.topLevelItemCount()):
            group = self.tree.topLevelItem(place)
            assert group is not None
            for number in range(group.childCount()):
                child = group.child(number)
                assert child is not None
                child.setHidden(bool(wanted) and wanted not in child.text(0).lower())
