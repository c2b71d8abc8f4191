from __future__ import annotations

import pytest

from gui.report.communities import communities, owner_of
from gui.store import UsageNames


def counts(*owners: tuple[str, str, str]) -> tuple[int, int, int]:
    found = communities(UsageNames(frozenset(owners), frozenset(), frozenset()))
    return found.researchers, found.collaborations, found.campuses


@pytest.mark.parametrize(
    ("directory", "owner"),
    [
        ("/user/alice", ("researcher", "/user/alice")),
        ("/user/dteam", ("collaboration", "dteam")),
        ("/ospool/ap21/data/alice", ("researcher", "/ospool/ap21/data/alice")),
        ("/ospool/PROTECTED/alice", ("researcher", "/ospool/PROTECTED/alice")),
        ("/ospool/uc-shared/project/X", ("collaboration", "/ospool/uc-shared/project/X")),
        ("/igwn/ligo", ("collaboration", "/igwn/ligo")),
        ("/store/data", ("collaboration", "cms")),
        ("/chtc", ("campus", "/chtc")),
        ("/hcc/unl/group/alice", ("campus", "/hcc")),
        ("/user", (None, "")),
        ("/users/alice", (None, "")),
        ("/elsewhere/x", (None, "")),
        ("", (None, "")),
    ],
)
def test_a_directory_tells_whose_it_is(directory: str, owner: tuple[str | None, str]) -> None:
    assert owner_of(directory) == owner


def test_a_person_is_counted_once_wherever_they_read() -> None:
    assert counts(("CN=a", "", "/user/alice"), ("CN=a", "", "/chtc"), ("CN=b", "", "/elsewhere/x")) == (2, 0, 1)


def test_where_no_person_is_named_the_owner_of_the_directory_is_counted() -> None:
    assert counts(("", "", "/user/alice"), ("nobody", "", "/user/alice"), ("", "", "/user/bob")) == (2, 0, 0)


def test_an_organisation_is_one_whatever_its_case_and_counts_before_the_directory() -> None:
    assert counts(("", "CMS", "/store/data"), ("", "cms", "/store/mc"), ("", "", "/store/user")) == (0, 1, 0)


def test_what_is_not_told_is_nobody() -> None:
    assert counts(("", "", ""), ("(other)", "(other)", "(other)")) == (0, 0, 0)
