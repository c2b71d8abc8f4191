"""The sheet that asks for a remote hub: what is missing is said beside the fields."""

from __future__ import annotations

from pathlib import Path

from gui.app.opening import remember_hub, remembered_hub
from gui.runner.hubs import HubKey
from gui.widgets.open_hub import OpenHubSheet


def test_what_is_missing_is_said_and_the_rest_is_handed_on(qtbot) -> None:
    sheet = OpenHubSheet(None)  # type: ignore[arg-type]
    qtbot.addWidget(sheet)
    taken: list[HubKey] = []
    sheet.wanted.connect(taken.append)
    sheet.open_button.click()
    assert "Give the address of the hub" in sheet.error.text()
    sheet.fields["url"].setText(" wss://hub.example:8765 ")
    sheet.fields["kid"].setText("anna")
    sheet.open_button.click()
    assert "give both, or neither" in sheet.error.text()
    assert taken == []
    sheet.fields["key_file"].setText("/keys/anna")
    sheet.fields["pin"].setText("sha256:00")
    sheet.open_button.click()
    assert taken == [HubKey("wss://hub.example:8765", "anna", Path("/keys/anna"), "", "sha256:00")]


def test_a_hub_is_remembered_without_its_secret(qapp) -> None:
    assert remembered_hub("wss://other:1") == HubKey("wss://other:1")
    key = HubKey("wss://hub.example:8765", "anna", Path("/keys/anna"), "anna", "sha256:00")
    remember_hub(key)
    assert remembered_hub("wss://hub.example:8765") == key
    signed_in = HubKey("wss://hub.example:8765")
    remember_hub(signed_in)
    assert remembered_hub("wss://hub.example:8765") == signed_in
