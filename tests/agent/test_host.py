"""What the agent says of its machine and of itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from agent import host
from agent.messages import decode_from_agent, encode


def test_the_register_message_is_one_that_hubs_take() -> None:
    message = host.describe(role="client", name="c1", labels=["EU"], journal="j", journal_last=3)
    assert decode_from_agent(encode(message)) == message
    assert message.pid == os.getpid()
    assert message.cpus >= 1
    assert message.version == host.version()


def test_the_client_library_is_named_without_being_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert host.xrootd_client_version()
    loaded = "import sys, agent.client, agent.daemon; sys.exit('XRootD' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0

    def missing(name: str) -> str:
        raise host.importlib.metadata.PackageNotFoundError(name)  # type: ignore[attr-defined]

    monkeypatch.setattr(host.importlib.metadata, "version", missing)  # type: ignore[attr-defined]
    assert host.xrootd_client_version() == ""


def test_load_counts_the_workers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "SHORTEST", 0.0)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        load = host.Load()
        load.measure([busy.pid])
        deadline = time.monotonic() + 60
        while (usage := load.measure([busy.pid])).cpu < 20 or usage.busiest < 20:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert load.measure([busy.pid]).memory > 1_000_000
    finally:
        busy.kill()
        busy.wait()
    load.measure([busy.pid])  # it is gone, which is no trouble


def test_asked_too_soon_it_says_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "SHORTEST", 1000.0)
    load = host.Load()
    assert load.measure([]) == load.measure([]) == host.Usage()
