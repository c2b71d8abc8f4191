"""What a plan will do, in figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.messages import Workload
from gui.campaign.plan import File, Test, Who
from gui.campaign.preview import preview_test, request_bytes, slowest

MIB = 2**20
FILES = [File("/a", MIB), File("/b", MIB)]


def test_eight_servers_a_hundred_each() -> None:
    test = Test(servers=8, files_per_server=100, per_round=20)
    shown = preview_test(test, servers=8, files=FILES)
    assert (shown.rounds, shown.files, shown.bytes, shown.short_by, shown.offered_rate) == (5, 800, 800 * MIB, 0, 200.0)
    assert shown.sentence(20).startswith("20 × 8 servers × 5 rounds = 800 files, 800.0 MiB, about ")


def test_a_short_last_round_is_said_and_nothing_is_cut_off_v5() -> None:
    """The first validation scripts asked for 9 of 10 files at 3 a round."""
    test = Test(servers=1, files_per_server=10, per_round=3, repeats=2)
    shown = preview_test(test, servers=1, files=FILES)
    assert (shown.rounds, shown.files, shown.last_round, shown.short_by) == (4, 10, 1, 2)
    assert shown.sentence(3).endswith(", 2 times; the last round is short: 1 per server instead of 3.")
    assert sum(test.round_size(number) for number in range(1, shown.rounds + 1)) == 10


@pytest.mark.parametrize(
    ("workload", "size", "asked"),
    [
        (Workload("full"), 5 * MIB, 5 * MIB),
        (Workload("range", bytes=MIB), 5 * MIB, MIB),
        (Workload("range", bytes=MIB), 10, 10),
        (Workload("range"), 5 * MIB, MIB),
        (Workload("vector", chunks=4, bytes=1000), 5 * MIB, 4000),
        (Workload("vector"), 5 * MIB, 16 * 65536),
        (Workload("vector"), 10, 10),
        (Workload("vector", chunks=16, bytes=8), 10, 3 * 8),
        (Workload("long", reads=3, bytes=MIB, pause=5), 5 * MIB, 3 * MIB),
        (Workload("write", bytes=7), 0, 7),
    ],
)
def test_bytes_of_a_request(workload: Workload, size: int, asked: int) -> None:
    assert request_bytes(workload, size) == asked


def test_longer_with_pauses_shorter_with_clients() -> None:
    def seconds(clients: int, pause: float) -> float:
        workload = Workload("long", reads=3, bytes=1, pause=pause)
        test = Test(servers=4, files_per_server=8, per_round=8, workload=workload, who=Who("all", 1))
        return preview_test(test, servers=4, files=FILES, clients=clients).seconds

    assert seconds(1, 10) > 32 * 20
    assert seconds(4, 10) == pytest.approx(seconds(1, 10) / 4)
    assert seconds(1, 0) < 1


def test_no_wait_is_no_offered_rate() -> None:
    assert (
        preview_test(Test(servers=1, files_per_server=1, per_round=1, wait=0), servers=1, files=[]).offered_rate is None
    )


def test_bytes_are_what_each_file_gives_and_not_what_the_mean_size_would() -> None:
    """Half the files are too small for the vector read: a mean of 512 KiB would promise 1 MiB of each."""
    test = Test(servers=1, files_per_server=10, per_round=10, workload=Workload("vector"))
    files = [File("/a", 10), File("/b", MIB)]
    assert preview_test(test, servers=1, files=files).bytes == round((10 + 16 * 65536) / 2 * test.files_per_server)


@given(
    st.integers(1, 60),
    st.integers(1, 500),
    st.integers(1, 200),
    st.floats(0, 5),
    st.integers(1, 20),
    st.integers(1, 64),
)
def test_no_rate_is_expected_above_the_offered_one(servers, files, per_round, wait, clients, slots) -> None:
    test = Test(servers=servers, files_per_server=files, per_round=per_round, wait=wait, who=Who(slots=slots))
    preview = preview_test(test, servers=servers, files=[File("/a", 1000)], clients=clients)
    if preview.offered_rate is not None:
        assert preview.files / (preview.seconds / preview.repeats) <= preview.offered_rate * (1 + 1e-9)


def test_a_mix_is_weighed_by_its_shares() -> None:
    mix = (Workload("range", bytes=100, weight=3), Workload("write", bytes=500))
    test = Test(servers=1, files_per_server=8, per_round=8, mix=mix)
    assert preview_test(test, servers=1, files=FILES).bytes == 6 * 100 + 2 * 500
    assert slowest(Test(1, 1, 1, mix=(Workload(), Workload("long", reads=3, pause=10.0))), MIB) > 20
