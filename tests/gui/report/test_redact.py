"""Names and addresses of hosts out of what is shown."""

from __future__ import annotations

from typing import Any

from gui.report import build, render
from gui.report.redact import Redaction
from gui.store import ServerEntry, Store


def test_names_become_the_same_words_everywhere() -> None:
    redaction = Redaction(["s1.example.org", "example.org"], ["anna"])
    assert redaction.text("anna asked s1.example.org, not example.org or 192.0.2.7 or [2001:db8::1]") == (
        "agent-1 asked host-1, not host-2 or address or address"
    )
    assert redaction.value({"example.org": ["anna", 1]}) == {"host-2": ["agent-1", 1]}


def test_the_maker_of_a_bundle_is_a_host(store: Store, world: Any) -> None:
    world.begin()
    seal = '{"by":"laptop.example.org","key":"k","changed":["run.json"]}'
    with store.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE run SET seal = '{seal}', origin = 'from-laptop.example.org.zip'")
    assert "laptop.example.org" in render(build(store, world.run), "table").decode()
    assert "laptop.example.org" not in render(build(store, world.run, redact=True), "table").decode()


def test_an_address_that_makes_no_sense_fails_nothing(store: Store, world: Any) -> None:
    store.put_servers([ServerEntry("root://[::1", "odd"), ServerEntry("root://secret host:1094", "plain")])
    world.begin(name="on odd and secret host:1094")
    for redact in (False, True):
        assert render(build(store, world.run, redact=redact), "json")
    assert Redaction.of(store).text("asked [::1 and odd") == "asked host-1 and host-2"
