import os
import select
import signal
import socket
import subprocess
import sys

import pytest

from shoveler.service import STORED, Notifier, Signals, listen_fds, named_sockets, with_sockets

SHOW = """
import os, socket
from shoveler.service import listen_fds
sockets = listen_fds()
print([s.getsockname()[1] for s in sockets], [s.recv(100) for s in sockets], listen_fds(),
      sorted(name for name in os.environ if name.startswith("LISTEN_")))
"""


def udp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


def test_sockets_handed_to_a_program_and_what_waits_in_them():
    first, second = udp(), udp()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"one", first.getsockname())
        sender.sendto(b"two", second.getsockname())
    command, fds = with_sockets([sys.executable, "-c", SHOW], [second, first])
    out = subprocess.run(command, pass_fds=fds, capture_output=True, text=True, check=True).stdout
    ports = [second.getsockname()[1], first.getsockname()[1]]
    assert out == f"{ports} [b'two', b'one'] [] []\n"
    assert first.fileno() >= 0, "the caller keeps its sockets"
    first.close()
    second.close()


def test_no_sockets_no_change():
    assert with_sockets(["x", "y"], []) == (["x", "y"], ())


def test_nothing_is_taken_that_was_not_meant_for_this_process():
    assert listen_fds({}) == []
    env = {"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x"}
    assert listen_fds(env) == []
    assert env == {}, "nor left for a child of ours to take"


def test_the_names_of_what_was_handed_over():
    first, second = udp(), udp()
    code = (
        "from shoveler.service import named_sockets\nprint([(name, s.getsockname()[1]) for name, s in named_sockets()])"
    )
    command, fds = with_sockets([sys.executable, "-c", code], [first, second])
    environment = os.environ | {"LISTEN_FDNAMES": f"unit:{STORED}"}
    out = subprocess.run(command, pass_fds=fds, capture_output=True, text=True, check=True, env=environment).stdout
    assert out == f"{[('unit', first.getsockname()[1]), (STORED, second.getsockname()[1])]}\n"
    first.close()
    second.close()


def test_sockets_that_systemd_keeps_over_a_restart(tmp_path):
    path = tmp_path / "notify"
    waiting = udp()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        Notifier({"NOTIFY_SOCKET": str(path)}).store([waiting], afresh=True)
        assert manager.recv(100) == b"FDSTOREREMOVE=1\nFDNAME=stored"
        said, kept, _flags, _address = socket.recv_fds(manager, 100, 4)
    assert said == b"FDSTORE=1\nFDNAME=stored"
    with socket.socket(fileno=kept[0]) as same:
        assert same.getsockname() == waiting.getsockname()
    waiting.close()
    assert named_sockets({}) == []


def test_a_broken_hand_over_is_said():
    with pytest.raises(ValueError, match="LISTEN_FDS must be a number"):
        listen_fds({"LISTEN_FDS": "x"})
    code = (
        "import os\n"
        "from shoveler.service import listen_fds\n"
        "os.close(3) if os.path.exists('/proc/self/fd/3') else None\n"
        "try: listen_fds({'LISTEN_FDS': '1'})\n"
        "except ValueError as error: print(error)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "LISTEN_FDS says that descriptor 3 is a socket: Bad file descriptor\n"


@pytest.fixture
def systemd(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        yield sock


def test_what_systemd_is_told(systemd):
    notifier = Notifier({"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "4000000"})
    notifier.ready("receiving")
    notifier.status("two\nlines")
    notifier.watchdog()
    notifier.reloading()
    notifier.stopping("draining")
    said = [systemd.recv(1000).decode() for _ in range(5)]
    assert said[:3] == ["READY=1\nSTATUS=receiving", "STATUS=two lines", "WATCHDOG=1"]
    assert said[3].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert said[4] == "STOPPING=1\nSTATUS=draining"
    assert notifier.watchdog_interval == 2.0


def test_the_abstract_namespace():
    name = f"tally-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name)
        sock.settimeout(5)
        Notifier({"NOTIFY_SOCKET": "@" + name}).ready()
        assert sock.recv(100) == b"READY=1"


def test_without_systemd_nothing_happens(tmp_path):
    notifier = Notifier({})
    notifier.ready()
    assert notifier.watchdog_interval is None
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("nobody hears it")


@pytest.mark.parametrize(
    "env", [{"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}]
)
def test_a_watchdog_that_is_not_ours(env):
    assert Notifier(env).watchdog_interval is None


@pytest.fixture
def signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    found = Signals.install()
    yield found
    for number, handler in before.items():
        signal.signal(number, handler)
    found.close()


def test_sigterm_and_sigint_stop(signals):
    for number in (signal.SIGTERM, signal.SIGINT):
        signals.stopping.clear()
        os.kill(os.getpid(), number)
        assert signals.stopping.wait(5)
        assert select.select([signals], [], [], 5)[0] == [signals]
        signals.drain()
        assert select.select([signals], [], [], 0)[0] == []
    assert signals.take_reload() is False


def test_sighup_reloads_once_however_often_it_came(signals):
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGHUP)
    assert select.select([signals], [], [], 5)[0] == [signals]
    signals.drain()
    assert signals.take_reload() is True
    assert signals.take_reload() is False
    assert not signals.stopping.is_set()


def test_a_thousand_signals_do_no_harm(signals):
    for _ in range(100_000):
        signals.reload()
    signals.stop()
    signals.drain()
    assert signals.stopping.is_set()
    signals.close()
    signals.stop()
