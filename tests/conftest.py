"""Fixtures for the whole suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.lab.broker import PrivateBroker


@pytest.fixture(scope="session")
def _session_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    broker = PrivateBroker(Path(tmp_path_factory.mktemp("rabbitmq")) / "node", die_with_parent=True)
    try:
        yield broker
    finally:
        broker.kill()  # nobody needs its data any more


@pytest.fixture
def broker(_session_broker: PrivateBroker) -> PrivateBroker:
    """A running private RabbitMQ node, shared by the session: use exchange and queue names of your own.

    A test may stop, kill or restart it; whoever comes next gets it running again. Without rabbitmq-server the test
    fails with a sentence that names the package.
    """
    if not _session_broker.running:
        _session_broker.kill()  # a half-stopped node (stop_app) is no start for the next test
        _session_broker.start()
    return _session_broker
