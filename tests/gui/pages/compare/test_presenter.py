"""Compare: which run another one is compared with, what is read of both, and what is shown when there is nothing."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

import gui.pages.compare.presenter as module
from gui.models.compare import counterpart
from gui.pages.compare.presenter import NO_RUN, ONE_RUN, ComparePresenter
from gui.store import NoSuchRowError, Store
from tests.gui.campaign_store import Campaign
from tests.gui.pages.made import view


def made(run: int, name: str = "osdf", **changes: Any) -> Any:
    one = view(run, name)
    return dataclasses.replace(one, run=dataclasses.replace(one.run, **changes))


@pytest.mark.parametrize(
    ("runs", "run", "wanted"),
    [
        ([made(3), made(2), made(1)], 3, 2),
        ([made(3), made(2), made(1, baseline=True)], 3, 1),
        ([made(3), made(2, "other", baseline=True), made(1)], 3, 1),
        ([made(3), made(2, "other", baseline=True)], 3, 2),
        ([made(3), made(2)], 2, 3),
        ([made(3), made(2, ended=None), made(1)], 3, 1),
        ([made(3), made(2, "other")], 3, None),
        ([made(3)], 3, None),
        ([], 3, None),
    ],
    ids=["before it", "baseline", "own plan first", "baseline of the workspace", "after it", "not under way",
         "another plan", "one only", "none"],
)  # fmt: skip
def test_a_run_is_compared_with_the_baseline_or_the_one_before(runs: list[Any], run: int, wanted: int | None) -> None:
    assert counterpart(runs, run) == wanted


@pytest.fixture
def presenter(desk, page, make_workspace, monkeypatch) -> ComparePresenter:
    """Reads are not made, but named."""
    desk.workspace = make_workspace(store="store")
    monkeypatch.setattr(module, "read_runs", lambda _store: [made(3), made(2), made(1, baseline=True)])
    monkeypatch.setattr(module, "read_comparison", lambda _store, a, b: Compared(a, b))
    monkeypatch.setattr(module, "read_trend", lambda _store, plan, _last, _known: f"trend of {plan}")
    return ComparePresenter(desk, page)


class Compared:
    """As much of a comparison as the presenter looks at."""

    def __init__(self, a: int, b: int) -> None:
        self.pair = (a, b)
        self.b = made(b)


def shown(page: Any) -> list[tuple[int, int]]:
    return [call[1].pair for call in page.calls if call[0] == "show_comparison"]


async def test_the_latest_run_is_compared_with_the_baseline(desk, page, presenter) -> None:
    presenter.open()
    assert await desk.settle() == ["compare runs"]
    assert shown(page) == [(1, 3)]
    calls = ["show_runs", "show_pair", "show_nothing", "show_comparison", "show_trend"]
    assert [call[0] for call in page.calls] == calls
    assert page.calls[2][1] == "Reading runs 1 and 3…"
    assert page.calls[-1] == ("show_trend", "trend of osdf")


@pytest.mark.parametrize(
    ("place", "pair"), [((2, 3), (2, 3)), ((None, 2), (1, 2)), ((2, None), (1, 2)), ((1, None), (1, 3))]
)
async def test_a_place_names_one_run_or_both(desk, page, presenter, place, pair) -> None:
    presenter.open(*place)
    await desk.settle()
    assert shown(page) == [pair]


async def test_runs_are_chosen_and_change_places(desk, page, presenter) -> None:
    presenter.open(1, 3)
    presenter.choose("a", 2)
    presenter.swap()
    presenter.choose("a", 2)
    await desk.settle()
    assert shown(page)[-1] == (2, 3), "the run of the other box: they change places"


async def test_only_the_newest_reading_is_shown(desk, page, presenter, make_workspace) -> None:
    class Slow(make_workspace):
        async def blocking(self, function: Any, *arguments: Any) -> Any:
            await asyncio.sleep(0)
            return function(*arguments)

    desk.workspace = Slow(store="store")
    presenter.open(1, 2)
    await asyncio.sleep(0)
    presenter.open(1, 3)
    await desk.settle()
    assert shown(page) == [(1, 3)]


@pytest.mark.parametrize(("runs", "said"), [([], NO_RUN), ([made(7)], ONE_RUN), ([made(7), made(6, "other")], ONE_RUN)])
async def test_without_two_runs_it_says_what_to_do(desk, page, presenter, monkeypatch, runs, said) -> None:
    monkeypatch.setattr(module, "read_runs", lambda _store: runs)
    presenter.open()
    await desk.settle()
    assert page.calls[-1] == ("show_nothing", *said)


async def test_a_run_that_was_deleted_meanwhile_is_named(desk, page, presenter, monkeypatch) -> None:
    def gone(*_: object) -> None:
        raise NoSuchRowError("There is no run 3.")

    monkeypatch.setattr(module, "read_comparison", gone)
    presenter.open()
    await desk.settle()
    assert page.calls[-1] == ("show_nothing", "These runs cannot be read", "There is no run 3.")


async def test_a_workspace_that_was_left_is_not_shown_and_its_runs_are_forgotten(
    desk, page, presenter, monkeypatch, make_workspace
) -> None:
    presenter.open(2, 3)
    await desk.settle()
    page.calls.clear()
    monkeypatch.setattr(module, "read_comparison", lambda *_: setattr(desk, "workspace", None))
    presenter.read()
    await desk.settle()
    assert shown(page) == []
    presenter.detach()
    assert page.calls[-1] == ("show_nothing", *NO_RUN)
    assert (presenter.a, presenter.b) == (None, None)


async def test_the_evidence_is_the_missing_requests_of_the_test(desk, page, make_workspace, tmp_path: Path) -> None:
    with Store(tmp_path / "w.db") as store:
        campaign = Campaign(store)
        campaign.run()
        campaign.run(lost={(1, 2): 25})
        desk.workspace = make_workspace(store=store)
        presenter = ComparePresenter(desk, page)
        presenter.open()
        await desk.settle()
        presenter.show_evidence(1)
    assert (desk.page, desk.place) == (
        "result", {"run": 2, "test": 1, "tab": "requests", "filter": "verdict:missing"},
    )  # fmt: skip


async def test_a_baseline_is_set_and_said(desk, page, make_workspace, tmp_path: Path) -> None:
    with Store(tmp_path / "w.db") as store:
        campaign = Campaign(store)
        for _ in range(3):
            campaign.run()
        desk.workspace = make_workspace(store=store)
        presenter = ComparePresenter(desk, page)
        presenter.open()
        await desk.settle()
        await presenter.set_baseline(1)
        assert store.baseline() == 1
    assert ("say", "Run 1 is now the baseline.") in page.calls


@pytest.mark.parametrize(
    ("name", "written", "begins"),
    [("c.html", "c.html", b"<!DOCTYPE html>"), ("c.JSON", "c.JSON", b"{"), ("c.csv", "c.csv", b"test,"),
     ("c.txt", "c.txt", b"Run 2"), ("c", "c.html", b"<!DOCTYPE html>")],
)  # fmt: skip
async def test_a_comparison_is_written_as_its_name_says(
    desk, page, make_workspace, tmp_path: Path, name: str, written: str, begins: bytes
) -> None:
    with Store(tmp_path / "w.db") as store:
        campaign = Campaign(store)
        campaign.run()
        campaign.run()
        desk.workspace = make_workspace(store=store)
        presenter = ComparePresenter(desk, page)
        presenter.open()
        await desk.settle()
        await presenter.write(tmp_path / name)
        await presenter.write(tmp_path / "no" / "such" / "place.html")
    assert (tmp_path / written).read_bytes().startswith(begins)
    assert ("say", f"Written: {tmp_path / written}") in page.calls
    assert desk.said[0][1].endswith("place.html: No such file or directory.")
