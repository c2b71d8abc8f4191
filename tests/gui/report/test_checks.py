"""JUnit and Markdown: what continuous integration makes of a run."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from gui.reconcile import score
from gui.report import build, render
from gui.store import TestSpec


def finish(world: Any, good: int, *, failed: int = 0, state: str = "settled") -> None:
    asked = world.ask(4)
    world.read(*asked[failed:])
    for one in asked[:failed]:
        world.read(one, ok=False, error="[ERROR] no")
    world.record(*asked[failed : failed + good])
    score(world.store, world.repeat, "settle", world.tick())
    world.store.set_repeat(world.repeat, state=state, complete=True)


@pytest.fixture
def suite(world: Any) -> ET.Element:
    """Four tests: passed, failed, inconclusive, never begun."""
    world.begin(*[TestSpec(1, 4, 4, name=name) for name in ("fine", "loses", "clients fail", "never")], name="nightly")
    finish(world, 4)
    world.next_repeat(2, 1)
    finish(world, 3)
    world.next_repeat(3, 1)
    finish(world, 2, failed=2)
    world.store.set_run(
        world.run, state="stopped", message="The run was stopped after 3 of 4 repeats.", ended=world.now
    )
    (suite,) = ET.fromstring(render(build(world.store, world.run), "junit"))
    return suite


def test_each_test_is_a_case_and_only_what_passed_is_green(suite: ET.Element) -> None:
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "2", "skipped": "0",
    }  # fmt: skip
    assert [(case.get("name"), [child.tag for child in case]) for case in suite.iter("testcase")] == [
        ("Test 1: fine", []),
        ("Test 2: loses", ["failure"]),
        ("Test 3: clients fail", ["error"]),
        ("Test 4: never", ["error"]),
    ]
    failure = next(suite.iter("failure"))
    assert (
        failure.get("message") == "75.00 % of 4 requests matched; the worst repeat has 75.00 %, and 100 % is required."
    )
    assert (failure.text or "").startswith("Test 2: 1 missing: unknown: neither shoveler nor collector")


def test_a_run_that_broke_after_its_tests_is_not_green(world: Any) -> None:
    world.begin(TestSpec(1, 4, 4))
    finish(world, 4)
    world.store.set_run(world.run, state="error", message="The clients could not go on.", ended=world.now)
    (suite,) = ET.fromstring(render(build(world.store, world.run), "junit"))
    assert suite.get("errors") == "1"
    assert [case.get("name") for case in suite.iter("testcase")] == ["Test 1: 1 × 4", "run"]


def test_markdown_is_a_table_with_what_is_remarked(world: Any) -> None:
    world.begin(TestSpec(1, 4, 4, name="loses"), name="nightly")
    finish(world, 3)
    world.store.set_run(world.run, state="failed", ended=world.now)
    lines = render(build(world.store, world.run), "markdown").decode().splitlines()
    assert lines[0] == "## Run 1  nightly  FAIL  0 of 1 test passed  started 2025-10-09T08:53:21Z"
    assert lines[2] == "3 of 4 requests matched; the worst repeat has 75.00 %."
    assert lines[4].startswith("| Test | Name | Num. servers |")
    assert lines[6].startswith("| 1 | loses | 1 | 4 | 4 | 4/server | 3.00 | 75.00 % | 75.00 % | 100 % | FAIL |")
    assert lines[4].count("|") == lines[5].count("|") == lines[6].count("|")
    assert "| 1 | 1 | unknown | unknown: neither shoveler nor collector sent a status during the run |" in lines


def test_text_of_others_is_no_markup_links_nowhere_and_calls_nobody(world: Any) -> None:
    evil = "a|b `c` <img src=x> [x](https://example.org) @somebody #12 **d**"
    world.begin(TestSpec(1, 4, 4, name="t|t"), name=evil)
    text = render(build(world.store, world.run), "markdown").decode()
    assert r"a\|b \`c\` &lt;img src=x&gt; \[x\](https&#58;//example.org) &#64;somebody \#12 \*\*d\*\*" in text
    assert r"t\|t" in text
