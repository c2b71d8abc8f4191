"""Fixtures for the whole suite."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from agent.lab.broker import PrivateBroker
from tests.skips import Judge

# Speed is never tested here: a machine that has much else to do is no failure.
settings.register_profile("tally", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tally")

# Whoever starts the tests in the background (``&``, nohup) has these ignored, and so would every program under test.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


# No test finds the passwords of whoever runs the tests, nor a keyring that another test has made.
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Judge(config), "tally-skips")


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
