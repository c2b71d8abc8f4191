from __future__ import annotations

import msgspec
import pytest

from agent.lab.errors import LabError
from agent.lab.options import LabOptions


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"servers": 0}, "--servers is 0; it must be from 1 to 500"),
        ({"shovelers": 33}, "--shovelers is 33; it must be from 1 to 32"),
        ({"files": 3, "large_files": 4}, "--large-files is 4; it must be from 0 to 3"),
        ({"port": 65_500, "servers": 50}, "--port is 65500; it must be from 0 to 65485"),
        ({"port": 80}, "--port is 80; XRootD runs without privileges here and needs a port above 1023"),
        ({"framing": "double"}, "--framing is 'double'; it must be single or batch"),
        ({"bus": "kafka://x/y"}, "--bus kafka://… is not a bus; give amqp://…, amqps://… or a directory"),
        ({"bus": "amqp:///"}, "--bus has no host; write amqp://USER:PASSWORD@HOST:PORT/VHOST"),
        ({"ledger": True}, "--ledger logs what the relay passes on; add --relay"),
        ({"cache_async": True}, "--cache-async applies to caches; add --caches 1"),
        ({"fbuff": 100}, "--fbuff is 100; it must be from 1024 to 65472"),
        ({"caches": 33}, "--caches is 33; it must be from 0 to 32"),
        (
            {"port": 65_500, "servers": 34, "redirector": True, "caches": 1},
            "--port is 65500; it must be from 0 to 65499",
        ),
        (
            {"tokens": True, "caches": 1},
            "--tokens and --caches exclude each other: a cache has no token for its origin",
        ),
        (
            {"tokens": True, "redirector": True},
            "--tokens and --redirector exclude each other: a redirector asks for no token",
        ),
        (
            {"bus": "amqp://u:secret@h/v?queue=q"},
            "--bus names an exchange or a queue; leave them out, because a lab makes its own names",
        ),
    ],
)
def test_a_wish_that_cannot_be_gets_one_sentence(wishes: dict[str, object], sentence: str) -> None:
    with pytest.raises(LabError) as caught:
        msgspec.convert({"directory": "/d", **wishes}, LabOptions).check()
    assert str(caught.value) == sentence


@pytest.mark.parametrize("bus", ["", "/a/directory", "amqp://u:p@h:5672/v", "amqps://h/"])
def test_every_kind_of_bus_is_taken(bus: str) -> None:
    LabOptions(directory="/d", bus=bus).check()
