"""Whole pages: the status with its header and foot, and those for who has not signed in. Pure.

What is not signed in learns nothing of this hub but the name of its provider.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from gui.hub.web.assets import assets
from gui.hub.web.board import Board
from gui.hub.web.markup import Html, h, icon, join

TITLE = "Tally"
OF_STATUS = ("workspace", "run", "fleet", "results")
"""The fragments of the board that the page shows, and those of the page of all runs."""
OF_RUNS = ("workspace", "runs")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at the page. `leave`: the address that signs them out."""

    name: str
    provider: str
    leave: str


def status(board: Board, who: Visitor) -> bytes:
    """The page: what the board shows now, which the script keeps up to date."""
    main = h(
        "main",
        _part(board, "run", "section", "card run"),
        h("div", _part(board, "fleet", "section", "card fleet"), _part(board, "results", "section", "card results"),
          class_="columns"),
    )  # fmt: skip
    return assets().page(TITLE, join(_header(board, who), main, _foot(who)), live="/watch")


def runs(board: Board, who: Visitor) -> bytes:
    """All runs of the workspace."""
    main = h("main", _part(board, "runs", "section", "card all-runs"))
    return assets().page(f"Runs · {TITLE}", join(_header(board, who), main, _foot(who)), live="/watch?page=runs")


def sign_in(provider: str, start: str, *, again: bool) -> bytes:
    """The way to sign in. `again`: a sign-in is over."""
    words = (
        "Your sign-in is over. Sign in again, and you come back here."
        if again
        else "This page is for people who may look at this hub."
    )
    body = join(
        h("h1", icon("tally", "accent", 24), " Tally"),
        h("p", words),
        h("p", h("a", f"Sign in with {provider}", class_="button", href=start)),
    )
    return assets().page(TITLE, _alone(body))


def signed_out() -> bytes:
    """Said after signing out."""
    body = join(h("h1", icon("ok", "ok", 24), " Signed out"), h("p", "This browser sees nothing of the hub any more."),
                h("p", h("a", "Sign in again", class_="button", href="/")))  # fmt: skip
    return assets().page(TITLE, _alone(body))


def closed(reason: str) -> bytes:
    """There is no page for people here."""
    body = join(
        h("h1", icon("tally", "accent", 24), " Tally"),
        h("p", "This is a Tally hub. Agents come to /register and /agent, operators to /operate."),
        h("p", reason),
    )
    return assets().page(TITLE, _alone(body))


def not_allowed(reason: str) -> bytes:
    """Somebody whom no list names."""
    body = join(h("h1", icon("lock", "warn", 24), " Not let in"), h("p", reason),
                h("p", h("a", "Sign in as somebody else", class_="button", href="/")))  # fmt: skip
    return assets().page(TITLE, _alone(body))


def failed(reason: str, again: str) -> bytes:
    """A sign-in that came to nothing."""
    body = join(h("h1", icon("warn", "warn", 24), " Not signed in"), h("p", reason),
                h("p", h("a", "Try again", class_="button", href=again)))  # fmt: skip
    return assets().page(TITLE, _alone(body))


def _alone(body: Html) -> Html:
    return h("main", h("section", body, class_="card note"), class_="alone")


def _part(board: Board, name: str, element: str, classes: str) -> Html:
    return h(element, board.part(name), id=f"part-{name}", class_=classes)


def _header(board: Board, who: Visitor) -> Html:
    letter = next((letter for letter in who.name if letter.isalnum()), "?").upper()
    return h(
        "header",
        h("a", icon("tally", "accent", 18), h("b", "Tally"), class_="home", href="/"),
        h("span", board.part("workspace"), id="part-workspace", class_="workspace"),
        h("span", icon("eye", size=14), "read-only", class_="badge mute wide"),
        h("span", class_="space"),
        h("span", h("span", icon("dot", size=10), class_="sign"), h("span", "as of this moment", class_="words"),
          id="live", class_="live mute", role="status"),
        h("span", letter, class_="face", aria_hidden="true"),
        h("span", h("b", who.name), h("span", f"by {who.provider}", class_="second"), class_="who wide"),
        h("a", "Sign out", class_="button small wide", href=who.leave),
    )  # fmt: skip


def _foot(who: Visitor) -> Html:
    return h(
        "footer",
        h("span", "This page shows; it changes nothing. To run or stop a test: the desktop application, or ",
          h("code", "tally run --hub"), class_="wide"),
        h("span", f"signed in as {who.name} by {who.provider}, read-only · ", h("a", "Sign out", href=who.leave),
          class_="narrow"),
        h("span", f"Tally {version('xrootd-tally')}", class_="second wide"),
    )  # fmt: skip
