"""What the plots draw: names at the rows of the heat map, and labels that keep their distance."""

from __future__ import annotations

import numpy as np
import pytest

from gui.widgets.plots import HeatMap, ValueAxis


def ticks(plot: HeatMap) -> list[str]:
    """The labels that are drawn at the rows, as pyqtgraph asks for them."""
    axis = plot.value_axis
    ((_, values),) = axis.tickValues(*axis.range, plot.area().height())  # type: ignore[call-arg]
    return axis.tickStrings(values, 1.0, 1.0)


@pytest.mark.parametrize(
    ("servers", "height", "first"),
    [(13, 300, ["s01", "s02", "s03"]), (30, 300, ["s01", "s05", "s10"]), (50, 400, ["s01", "s05", "s10"])],
)
def test_rows_of_the_heat_map_have_names(qtbot, servers: int, height: int, first: list[str]) -> None:
    plot = HeatMap("Throughput", "MiB/s")
    qtbot.addWidget(plot)
    plot.resize(800, height)
    plot.show()
    qtbot.waitExposed(plot)
    plot.set_servers([(f"s{number:02}", number) for number in range(1, servers + 1)])
    plot.update_data(np.arange(20.0), np.ones((servers, 20)))
    plot.grab()
    assert ticks(plot)[:3] == first


def test_a_run_on_fewer_servers_follows_one_with_news_of_many(qtbot) -> None:
    plot = HeatMap("Throughput", "MiB/s")
    qtbot.addWidget(plot)
    plot.set_servers([(f"s{number:03}", number) for number in range(1, 501)])
    plot.update_data(np.arange(20.0), np.ones((500, 20)))
    plot.set_news({"s400": "bad"})
    assert plot._rows.own == [399]
    for few in ([("s001", 1)], []):
        plot.set_servers(few)
        plot.grab()  # painted with the rows of now
        assert plot._rows.own == []


@pytest.mark.parametrize("size", [20, 30, 60, 400])
def test_labels_of_a_low_plot_do_not_touch(qapp, size: int) -> None:
    ((_, values),) = ValueAxis("left").tickValues(0, 40_000, size)
    assert len(values) >= 1
    assert len(values) == 1 or size / (len(values) - 1) >= 16
