"""What the command palette finds: pages, actions of the window and of the page that is shown, recent workspaces, and
what each page has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from PySide6.QtGui import QAction

from gui.models.finder import Found, fit, rank
from gui.models.recent import Recent
from gui.pages.part import Part
from gui.widgets.frame import Frame
from gui.widgets.shortcuts import key_of, name_of

MOST = 40
OF_A_PAGE = 12
LATER = 3.5
"""What a page has found although its title does not fit (a request by its file) stands after what fits well."""


class Finding:
    """`recent`: the workspaces that were open before; `open_named` opens one."""

    def __init__(
        self,
        frame: Frame,
        parts: Mapping[str, Part],
        recent: Callable[[], Iterable[Recent]],
        open_named: Callable[[str], object],
    ) -> None:
        self._frame = frame
        self._parts = parts
        self._recent = recent
        self._open_named = open_named

    def find(self, words: str) -> list[Found]:
        """What these words mean, the best first; without words, all pages and actions."""
        actions = [self._of_action(name, action) for name, action in self._frame.actions_by_name.items()]
        actions += [self._of_action("", action) for action in self._frame.page_actions()]
        offered = [found for found in actions if found is not None]
        if not words.strip():
            return rank("", offered, lambda found: found.title, most=len(offered))
        offered += [self._of_recent(entry) for entry in self._recent()]
        scored: list[tuple[float, Found]] = []
        for found in offered:
            score = fit(words, f"{found.title} {found.detail}")
            if score is not None:
                scored.append((score, found))
        for part in self._parts.values():
            for number, found in enumerate(part.found(words)):
                if number >= OF_A_PAGE:
                    break
                score = fit(words, f"{found.title} {found.detail}")
                scored.append((LATER + number / 100 if score is None else score + 0.25, found))
        scored.sort(key=lambda pair: pair[0])
        return [found for _, found in scored[:MOST]]

    def _of_action(self, name: str, action: QAction) -> Found | None:
        if not action.isEnabled() or not action.isVisible():
            return None
        page = name.startswith("page-")
        detail = "page" if page else str(action.property("menu") or "") if name else "on this page"
        return Found(name_of(action), detail, str(action.property("symbol") or "") or "right", action.trigger,
                     key_of(action))  # fmt: skip

    def _of_recent(self, entry: Recent) -> Found:
        return Found(f"Open {entry.name}", entry.where, "db", lambda: self._open_named(entry.where))
