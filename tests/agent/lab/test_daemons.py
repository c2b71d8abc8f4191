from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from agent.lab import daemons, sockets
from agent.lab.layout import Layout
from agent.lab.names import Names

# Takes the socket as a daemon does, and says what came.
TAKER = """
from shoveler.service import listen_fds
(s,) = listen_fds()
s.settimeout(10)
print(s.recv(100).decode(), flush=True)
"""

# A process of its own, since descriptor 3 of a test run may be anything.
STARTER = """
import sys
from agent.lab import daemons, sockets
daemons.reserve_socket_number()
with sockets.receive_socket() as first, sockets.receive_socket() as second, open(sys.argv[1], "wb") as log:
    for word, receiver in (("first", first), ("second", second), ("again", first)):
        first.sendto(word.encode(), receiver.getsockname())
        recipe = daemons.Recipe([sys.executable, "-c", sys.argv[2]], {})
        assert daemons.start(recipe, receiver, log).wait() == 0
"""


def test_each_daemon_is_handed_its_own_socket_with_what_waits_in_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    subprocess.run([sys.executable, "-c", STARTER, str(log), TAKER], check=True, timeout=30)
    assert log.read_text().split() == ["first", "second", "again"]


def test_no_password_is_on_a_command_line_and_all_names_have_the_prefix() -> None:
    bus = daemons.Bus("amqp://u:secret@h/v", Names("lab-7."), "batch")
    recipes = [
        daemons.shoveler("shoveler-1", Layout(Path("/lab")), bus, "127.0.0.1:1", {}),
        daemons.collector(Layout(Path("/lab")), bus, "127.0.0.1:2", {}),
    ]
    for recipe in recipes:
        assert not any("secret" in word for word in recipe.command)
        for name, value in recipe.environment.items():
            if "EXCHANGE" in name:
                assert value.startswith("lab-7."), name
    assert recipes[1].environment["TALLY_COLLECTOR_FROM"] == "amqp://u:secret@h/v?queue=lab-7.xrd-packets"


def test_the_settings_are_those_that_the_daemons_declare() -> None:
    """The lab may not import the daemons, a test may: a setting that was renamed there is noticed here."""
    from collector.config import SCHEMA as COLLECTOR
    from shoveler.config import SCHEMA as SHOVELER

    for bus in (daemons.Bus("/bus", Names(""), "batch"), daemons.Bus("amqp://h/", Names("lab-1."), "single")):
        layout = Layout(Path("/lab"))
        SHOVELER.load(None, daemons.shoveler("s", layout, bus, "127.0.0.1:1", {}).environment)
        COLLECTOR.load(None, daemons.collector(layout, bus, "127.0.0.1:1", {}).environment)


def test_every_stream_of_the_collector_has_an_exchange_of_the_lab() -> None:
    from collector.sinks import STREAMS

    names = Names("lab-1.")
    assert set(names.exchanges) == {
        f"lab-1.{exchange}" for exchange in (*STREAMS.values(), "shoveled-xrd", "tally-status")
    }


def test_the_socket_is_not_inherited_by_accident() -> None:
    with sockets.receive_socket() as receiver:
        assert not receiver.get_inheritable()
