"""A private RabbitMQ node: starts, answers, survives kill -9, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from agent.lab import broker as broker_module
from agent.lab.broker import BrokerError, PrivateBroker

pytestmark = pytest.mark.broker


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_session_node_answers_on_loopback_under_its_own_user(broker: PrivateBroker) -> None:
    assert broker.running
    assert broker.url == f"amqp://{broker.user}:{broker.password}@127.0.0.1:{broker.port}/"
    assert broker.ctl("list_users").split()[:2] == ["user", "tags"]
    assert "guest" not in broker.ctl("list_users")
    listeners = broker.ctl(
        "eval", '[inet:sockname(P) || P <- erlang:ports(), {name, "tcp_inet"} == erlang:port_info(P, name)].'
    )
    assert "{0,0,0,0}" not in listeners


def test_secrets_are_for_the_owner_only(broker: PrivateBroker) -> None:
    assert stat.S_IMODE(broker.directory.stat().st_mode) == 0o700
    for name in ("rabbitmq.conf", ".erlang.cookie", "broker.json"):
        assert stat.S_IMODE((broker.directory / name).stat().st_mode) & 0o077 == 0


def test_stop_app_closes_the_listener_and_start_app_opens_it(broker: PrivateBroker) -> None:
    pid = broker.pid
    broker.stop_app()
    assert not broker.running
    assert broker.pid == pid
    broker.start_app()
    assert broker.running


def test_kill_then_start_keeps_the_address_and_what_was_on_disk(broker: PrivateBroker) -> None:
    broker.ctl("add_vhost", "survives")
    before, pids = broker.url, broker.pids
    broker.kill()
    assert broker.pid is None
    assert not any(exists(pid) for pid in pids)
    broker.start()
    assert broker.url == before
    assert "survives" in broker.ctl("list_vhosts")


def test_another_process_attaches_and_stops_it(broker: PrivateBroker) -> None:
    pids = broker.pids
    other = PrivateBroker.attach(broker.directory)
    assert other.url == broker.url
    assert other.pids == pids
    other.stop()
    assert broker.pids == other.pids == []
    assert not any(exists(pid) for pid in pids)


def test_its_ports_are_none_that_outgoing_connections_get(broker: PrivateBroker) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert broker.port < first
    assert len(set(broker_module._free_ports(20))) == 20
    with socket.socket() as s:
        port = broker_module._free_ports(1)[0]
        s.bind(("127.0.0.1", port))
        assert port not in broker_module._free_ports(100)


def test_starting_twice_is_refused(broker: PrivateBroker) -> None:
    with pytest.raises(BrokerError, match="is already running"):
        broker.start()


def test_a_failing_rabbitmqctl_tells_what_it_said(broker: PrivateBroker) -> None:
    with pytest.raises(
        BrokerError, match=r"rabbitmqctl authenticate_user failed with code \d+: .*failed to authenticate"
    ):
        broker.ctl("authenticate_user", broker.user, "wrong")


def test_a_taken_port_is_one_sentence(tmp_path: Path, broker: PrivateBroker) -> None:
    with pytest.raises(BrokerError, match=f"port {broker.port} is taken by another program"):
        PrivateBroker(tmp_path / "node", port=broker.port).start()


def test_a_node_that_cannot_start_says_why_and_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "mnesia").write_text("a file where the node wants a directory")
    node = PrivateBroker(tmp_path, die_with_parent=True)
    with pytest.raises(BrokerError, match=r"RabbitMQ ended while it was starting; it said: .*failed_to_create"):
        node.start()
    assert node.pids == []


def test_on_a_full_disk_it_says_so_and_can_still_be_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = broker_module._write_secret
    full: set[str] = set()

    def written(path: Path, text: str) -> None:
        if path.name in full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, text)

    monkeypatch.setattr(broker_module, "_write_secret", written)
    node = PrivateBroker(tmp_path / "node", die_with_parent=True)
    full.add("broker.json")
    with pytest.raises(BrokerError, match=r"cannot be written \(No space left on device"):
        node.start()
    assert node.pids == []
    full.clear()
    node.start()
    pids = node.pids
    full.add("broker.json")
    node.kill()
    assert not any(exists(pid) for pid in pids)


def test_attaching_where_nothing_was_started_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="no private broker was started in"):
        PrivateBroker.attach(tmp_path)


def test_the_address_is_not_known_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="never started"):
        _ = PrivateBroker(tmp_path).url


def test_without_rabbitmq_the_sentence_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module.shutil, "which", lambda _name: None)  # type: ignore[attr-defined]
    monkeypatch.setattr(Path, "exists", lambda _self: False)
    with pytest.raises(BrokerError, match="install the Debian package rabbitmq-server"):
        PrivateBroker(tmp_path / "node").start()
