"""Where requests go."""

from __future__ import annotations

import pytest

from agent.messages import Workload
from agent.workloads.address import Address, address_of, reach


@pytest.mark.parametrize(
    ("server", "workload", "expected"),
    [
        ("root://h:1095", Workload(), Address("root", "h", 1095)),
        ("root://h", Workload(protocol="https"), Address("https", "h", 1094)),
        ("root://h", Workload(protocol="https", port=8443), Address("https", "h", 8443)),
        ("https://h", Workload(), Address("https", "h", 443)),
        ("http://h", Workload(), Address("http", "h", 80)),
        ("h:1", Workload(), Address("root", "h", 1)),
        ("root://[::1]:9", Workload(protocol="http"), Address("http", "::1", 9)),
    ],
)
def test_scheme_host_and_port(server: str, workload: Workload, expected: Address) -> None:
    assert address_of(server, workload) == expected


def test_what_it_is_written_like() -> None:
    address = reach("https://[::1]:9")
    assert (address.place, address.over_http) == ("[::1]:9", True)
    assert address.url("/a b/ä?#%") == "https://[::1]:9/a%20b/%C3%A4%3F%23%25"
    assert address.url("x") == "https://[::1]:9/x"
    assert not reach("roots://h").over_http
