"""The strip of tests: what stands for a test as a whole, and which tests are shown when there are many."""

from __future__ import annotations

import pytest

from gui.runner.progress import Step, StepState
from gui.widgets.steps import StepStrip, first_shown, state_of


@pytest.mark.parametrize(
    ("repeats", "state"),
    [
        (("waiting", "waiting"), "waiting"),
        (("passed", "waiting"), "running"),
        (("passed", "running"), "running"),
        (("passed", "passed"), "passed"),
        (("passed", "failed"), "failed"),
        (("passed", "ended"), "ended"),
        (("ended", "waiting"), "ended"),
    ],
)
def test_the_state_of_a_test(repeats: tuple, state: str) -> None:
    assert state_of(Step("t", 1, repeats)) == state


def test_the_running_test_is_among_those_that_are_shown() -> None:
    states: list[StepState] = ["passed"] * 20 + ["running"] + ["waiting"] * 20  # type: ignore[assignment]
    assert first_shown(states, 10) <= 20 < first_shown(states, 10) + 10
    assert first_shown(["passed"] * 41, 10) == 31
    assert first_shown(["waiting"] * 41, 10) == 0


def test_any_number_of_tests_and_any_name_is_painted(qtbot) -> None:
    strip = StepStrip()
    qtbot.addWidget(strip)
    strip.resize(900, 44)
    strip.show()
    for count in (0, 1, 8, 300):
        strip.show_steps([Step("<b>x</b> " * 20, 10**n % 7, ("passed",) * 3) for n in range(count)], 0.5, ("a", "b"))
        assert strip.grab().width() == 900 * strip.devicePixelRatio()
    assert "<b>x</b>" in strip.accessibleName()
