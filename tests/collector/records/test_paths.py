from __future__ import annotations

import pytest

from collector.correlate.options import LOGICAL_DIRECTORIES
from collector.records.paths import Directories, path_fields, under, under_any

DEFAULT = Directories(LOGICAL_DIRECTORIES)


@pytest.mark.parametrize(
    ("path", "logical"),
    [
        ("/user/alice/x/y", "/user/alice"),
        ("/user/dteam/x/y", "/user/dteam"),
        ("/osgconnect/public/bob/f", "/osgconnect/public/bob"),
        ("/osgconnect/protected/bob/f", "/osgconnect/protected/bob"),
        ("/osgconnect/other/f", None),
        ("/ospool/PROTECTED/carol/f", "/ospool/PROTECTED/carol"),
        ("/ospool/ap20/data/dave/f", "/ospool/ap20/data/dave"),
        ("/path-facility/data/erin/f", "/path-facility/data/erin"),
        ("/hcc/focus/osg/public/frank/f", "/hcc/focus/osg/public/frank"),
        ("/pnfs/fnal.gov/usr/nova/f", "/pnfs/fnal.gov/usr/nova"),
        ("/pnfs/elsewhere/usr/f", None),
        ("/gwdata/O3/f", "/gwdata/O3"),
        ("/chtc/staging/f", "/chtc"),
        ("/icecube/data/f", "/icecube"),
        ("/igwn/ligo/frames/f", "/igwn/ligo/frames"),
        ("/store/data/x", "/store/data"),
        ("/storefront/x", None),
        ("/elsewhere/f", None),
    ],
)
def test_default_logical_directories(path: str, logical: str | None) -> None:
    assert path_fields(path, DEFAULT).get("logical_dirname") == logical


def test_first_directories_and_repeated_slashes() -> None:
    assert path_fields("/a//b/c", DEFAULT) == {"filename": "/a//b/c", "dirname1": "/a", "dirname2": "/a/b"}
    assert path_fields("/a", DEFAULT) == {"filename": "/a", "dirname1": "/a"}
    assert path_fields("a/b", DEFAULT) == {"filename": "a/b", "dirname1": "a", "dirname2": "a/b"}


@pytest.mark.parametrize("path", [None, ""])
def test_no_path_gives_no_fields(path: str | None) -> None:
    assert path_fields(path, DEFAULT) == {}


def test_a_path_that_is_no_text_keeps_its_bytes() -> None:
    raw = b"/store/\xff/x"
    fields = path_fields(raw.decode("utf-8", "surrogateescape"), DEFAULT)
    assert fields["filename"] == "/store/\ufffd/x"
    assert fields["filename_b64"] == "L3N0b3JlL/8veA=="
    assert fields["dirname2"] == fields["logical_dirname"] == "/store/\ufffd"
    assert fields["dirname2_b64"] == fields["logical_dirname_b64"] == "L3N0b3JlL/8="
    assert "dirname1_b64" not in fields


def test_own_table_and_longest_prefix() -> None:
    table = Directories({"/a": 1, "/a/b/c": 4, "/a/b": 2})
    assert path_fields("/a/b/c/d/e", table)["logical_dirname"] == "/a/b/c/d"
    assert path_fields("/a/b/x/d/e", table)["logical_dirname"] == "/a/b"
    assert path_fields("/a/x/y/d/e", table)["logical_dirname"] == "/a"


def test_prefixes_are_whole_components() -> None:
    assert under("/store/x", "/store")
    assert under("/store", "/store/")
    assert under("/store/x", "/store/")
    assert not under("/storefront/x", "/store")
    assert under_any("/b/x", ("/a", "/b"))
    assert not under_any(None, ("/a",))
