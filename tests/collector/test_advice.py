"""What is logged about servers: once when it shows, once when it is over."""

from __future__ import annotations

import logging

import pytest

from collector.advice import SENTENCES, Advice


def test_a_warning_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    now = {("192.0.2.1:1", "silent"): "d1@se01:1094 (192.0.2.1:1)"}
    advice = Advice(lambda: now)
    with caplog.at_level(logging.INFO):
        advice.look()
        advice.look()
        assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
            ("WARNING", f"d1@se01:1094 (192.0.2.1:1) {SENTENCES['silent']}")
        ]
        caplog.clear()
        now = {}
        advice.look()
        advice.look()
        assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
            ("INFO", "d1@se01:1094 (192.0.2.1:1): silent is over")
        ]


def test_of_very_many_some_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    Advice(lambda: {(f"192.0.2.1:{n}", "silent"): "x" for n in range(1000)}).look()
    assert len(caplog.records) == 1
