from __future__ import annotations

import pytest

from tests import promises


@pytest.mark.parametrize(
    ("waiting", "processors", "seconds"), [(0.1, 2, 10.0), (2.0, 2, 10.0), (9.0, 2, 45.0), (9.0, None, 90.0)]
)
def test_it_takes_longer_only_where_more_wants_to_run_than_can(
    monkeypatch: pytest.MonkeyPatch, waiting: float, processors: int | None, seconds: float
) -> None:
    monkeypatch.setattr(promises, "_waiting", lambda: waiting)
    monkeypatch.setattr("os.cpu_count", lambda: processors)
    assert promises.within(10.0) == seconds
