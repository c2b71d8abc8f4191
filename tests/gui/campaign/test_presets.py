"""The plans that come with Tally."""

from __future__ import annotations

from gui.campaign.planfile import parse_plan, update_plan
from gui.campaign.presets import find_preset, presets


def test_the_table_of_2021_with_what_was_published() -> None:
    preset = find_preset("osdf-2021")
    assert preset is not None
    rows = [
        (
            test.servers,
            test.files_per_server,
            test.servers * test.files_per_server,  # type: ignore[operator]
            test.per_round,
            row.recorded_avg,
            row.success,
        )
        for test, row in zip(preset.plan.tests, preset.published, strict=True)
    ]
    assert rows == [
        (2, 100, 200, 20, 200.00, 100.00),
        (4, 100, 400, 20, 400.00, 100.00),
        (8, 100, 800, 20, 800.00, 100.00),
        (32, 100, 3200, 20, 3196.67, 99.90),
        (50, 100, 5000, 20, 5000.00, 100.00),
        (50, 200, 10000, 50, 10000.00, 100.00),
        (50, 400, 20000, 80, 19992.33, 99.96),
        (50, 800, 40000, 100, 39991.00, 99.98),
    ]
    assert all(test.repeats == 3 and test.wait == 1.0 for test in preset.plan.tests), (
        "averages in thirds: three repeats"
    )
    assert [test.name for test in preset.plan.tests] == [row.test for row in preset.published]


def test_all_presets_are_plans_that_the_editor_keeps() -> None:
    assert [preset.id for preset in presets()] == [
        "osdf-2021",
        "correctness-full",
        "correctness-range",
        "correctness-vector",
        "correctness-long",
        "correctness-past-end",
        "redirect",
        "cache-cold-warm",
    ]
    for preset in presets():
        assert preset.plan.name == preset.id
        assert update_plan(preset.text, parse_plan(preset.text)) == preset.text
        assert preset.title
        assert preset.about
    kinds = [preset.plan.tests[0].workload.kind for preset in presets()[1:6]]
    assert kinds == ["full", "range", "vector", "long", "past_end"]


def test_no_such_preset() -> None:
    assert find_preset("nothing") is None
