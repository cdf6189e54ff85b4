from __future__ import annotations

import pytest

from deltanas.report.charts import HEIGHT, Point, axis, strip


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.81, 0.89, [0.8, 0.82, 0.84, 0.86, 0.88, 0.9]),
        (0.1, 0.93, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.97, 1.0, [0.97, 0.98, 0.99, 1.0]),
        (0.5, 0.5, [0.4998, 0.5, 0.5002]),
        (0.0, 0.0, [0.0, 0.0002]),
    ],
)
def test_an_axis_has_round_ticks_and_holds_its_values(low: float, high: float, ticks: list[float]) -> None:
    scale = axis(low, high, (0.0, 1.0))
    assert list(scale.ticks) == pytest.approx(ticks)
    assert 0 <= scale.low <= low <= high <= scale.high <= 1


def points(accuracies: list[float], cycle: int = 1) -> list[Point]:
    return [Point(cycle, "delta", accuracy, f"{accuracy}") for accuracy in accuracies]


def test_a_strip_puts_the_better_higher_and_rings_the_best() -> None:
    chart = strip([*points([0.80, 0.90], 0), *points([0.85, 0.95], 2)], ("best baseline", 0.9))
    heights = [dot.y for dot in chart.dots]
    assert heights[3] < heights[1] < heights[2] < heights[0]
    assert chart.best == chart.dots[3]
    assert [name for _, name in chart.columns] == ["0", "1", "2"]
    assert [mean.text for mean in chart.means] == ["85.0", "90.0"]
    assert all(0 <= dot.x <= 100 and 0 <= dot.y <= HEIGHT for dot in chart.dots)


def test_far_outliers_are_counted_on_the_lower_edge() -> None:
    chart = strip(points([0.1, *[0.85 + 0.005 * step for step in range(9)]]), None)
    assert chart.beyond == 1
    assert chart.dots[0].y == HEIGHT
    assert float(chart.edge) > 10


def test_one_point_is_a_chart() -> None:
    chart = strip(points([1.0]), None)
    assert chart.beyond == 0
    assert len(chart.ticks) >= 2


def test_many_cycles_are_labelled_sparsely() -> None:
    chart = strip([point for cycle in range(40) for point in points([0.5], cycle)], None)
    assert sum(bool(name) for _, name in chart.columns) == 8
