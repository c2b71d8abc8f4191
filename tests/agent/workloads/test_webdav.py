"""Listings over HTTP."""

from __future__ import annotations

import pytest

from agent.workloads.webdav import Entry, entries

LISTING = b"""<?xml version="1.0" encoding="utf-8"?>
<D:multistatus xmlns:D="DAV:" xmlns:ns0="DAV:">
<D:response xmlns:lp1="DAV:"><D:href>/store/a%20b/</D:href><D:propstat><D:prop>
<lp1:getcontentlength>4096</lp1:getcontentlength><lp1:resourcetype><D:collection/></lp1:resourcetype>
</D:prop></D:propstat></D:response>
<D:response xmlns:lp1="DAV:"><D:href>https://h:1094/store/a%20b/f%252</D:href><D:propstat><D:prop>
<lp1:getcontentlength>7</lp1:getcontentlength></D:prop></D:propstat></D:response>
<D:response xmlns:lp1="DAV:"><D:href>/store/a%20b/dir</D:href><D:propstat><D:prop>
<lp1:resourcetype><D:collection/></lp1:resourcetype></D:prop></D:propstat></D:response>
<D:response><D:href>/store/a%20b/e</D:href></D:response>
<D:response><D:href>/etc/passwd</D:href></D:response>
</D:multistatus>"""


def test_a_listing_as_xrootd_sends_it() -> None:
    assert entries(LISTING, "/store/a b") == [
        Entry("/store/a b/dir", folder=True, size=None),
        Entry("/store/a b/e", folder=False, size=None),
        Entry("/store/a b/f%2", folder=False, size=7),
    ]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it is not XML"),
        (b"<html/>", "it begins with 'html'"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "it declares entities"),
    ],
)
def test_what_is_no_listing(body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        entries(body, "/store")
