"""What only the local bus has: files, locks, trimming, a cap."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shoveler.bus import BusInUseError, BusOptions, BusRefusedError, BusUnavailableError, Outgoing, open_publisher
from shoveler.bus.local_cursors import Cursors
from shoveler.bus.local_files import connect, create, cursor_file, exchange_directory, message_file

if TYPE_CHECKING:
    from conftest import Bus


def messages(start: int, stop: int, size: int = 10) -> list[Outgoing]:
    return [Outgoing(bytes(size), str(number)) for number in range(start, stop)]


def numbers(taken: list) -> list[int]:
    return [int(m.id) for m in taken]


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM message").fetchone()[0])


# -- names and files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exchange", "directory"),
    [
        ("shoveled-xrd", "packets"),
        ("lab7-shoveled-xrd", "packets"),
        ("xrd-records", "records"),
        ("lab7.xrd-records", "records"),
        ("tally-status", "tally-status"),
        ("../../etc", "%2E.%2F..%2Fetc"),
        (".hidden", "%2Ehidden"),
    ],
)
def test_an_exchange_is_a_directory(exchange: str, directory: str) -> None:
    assert exchange_directory(Path("/bus"), exchange) == Path("/bus") / directory


def test_names_of_files(tmp_path: Path) -> None:
    assert message_file(tmp_path, "SPOOL7") == tmp_path / "SPOOL7.db"
    assert cursor_file(tmp_path, "xrd.shard.0") == tmp_path / "xrd.shard.0.cursor"
    assert cursor_file(tmp_path, "a/b").parent == tmp_path
    with pytest.raises(BusRefusedError, match="at least one character"):
        message_file(tmp_path, "")
    with pytest.raises(BusRefusedError, match="is too long"):
        message_file(tmp_path, "x" * 300)


def test_a_queue_with_an_odd_name_works(local: Bus) -> None:
    topology = local.topology()
    topology.declare_queue("../a b/ü", exchange=local.exchange)
    local.publish(local.publisher("../w"), messages(0, 3))
    assert numbers(local.take_all(local.consumer("../a b/ü"), 3)) == [0, 1, 2]
    assert sorted(p.name for p in Path(local.url).parent.iterdir()) == ["bus"]


def test_a_file_appears_complete(tmp_path: Path) -> None:
    create(tmp_path / "a.db", "db")
    before = (tmp_path / "a.db").read_bytes()
    create(tmp_path / "a.db", "db")  # one that is there is left alone
    assert (tmp_path / "a.db").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.db"]


# -- several writers -------------------------------------------------------------------------------------------------


def test_writers_are_merged_and_each_keeps_its_order(local: Bus) -> None:
    writers = [local.publisher(f"W{n}") for n in range(3)]
    for start in range(0, 100, 10):
        for n, writer in enumerate(writers):
            local.publish(writer, [Outgoing(b"", f"{n}:{number}") for number in range(start, start + 10)])
    taken = local.take_all(local.consumer(), 300)
    assert [m.delivery for m in taken] == list(range(1, 301))
    for n in range(3):
        assert [m.id for m in taken if m.id.startswith(f"{n}:")] == [f"{n}:{number}" for number in range(100)]


def test_a_busy_writer_does_not_starve_the_others(local: Bus) -> None:
    local.publish(local.publisher("busy"), messages(0, 500))
    local.publish(local.publisher("rare"), [Outgoing(b"", "7777")])
    consumer = local.consumer()
    taken = [consumer.take(10, 1.0) for _ in range(3)]
    assert 7777 in numbers([m for batch in taken for m in batch])


def test_a_writer_that_comes_later_is_found(local: Bus) -> None:
    consumer = local.consumer()
    assert consumer.take(10, 0.0) == []
    local.publish(local.publisher("late"), messages(0, 3))
    assert numbers(local.take_all(consumer, 3)) == [0, 1, 2]


def test_acknowledging_covers_all_writers_up_to_there(local: Bus) -> None:
    for n in range(2):
        local.publish(local.publisher(f"W{n}"), [Outgoing(b"", f"{n}{number}") for number in range(5)])
    first = local.consumer()
    taken = local.take_all(first, 10)
    first.acknowledge(taken[6].delivery)
    first.close()
    assert sorted(m.id for m in local.take_all(local.consumer(), 3)) == sorted(m.id for m in taken[7:])


def test_a_second_writer_of_a_file_gets_one_sentence(local: Bus) -> None:
    first = local.publisher("W")
    with pytest.raises(BusInUseError, match=r"W\.db is already written by process \d+; stop that one, or give"):
        local.publisher("W")
    first.close()
    assert local.publish(local.publisher("W"), messages(0, 1)) == ["confirmed"]


# -- restart ---------------------------------------------------------------------------------------------------------


def test_a_file_that_began_again_is_read_from_its_beginning(local: Bus) -> None:
    first = local.publisher("W")
    local.publish(first, messages(0, 10))
    consumer = local.consumer()
    consumer.acknowledge(local.take_all(consumer, 10)[-1].delivery)
    first.close()
    for path in (Path(local.url) / "e").glob("W.*"):
        path.unlink()  # somebody cleaned up; row numbers begin at 1 again
    local.publish(local.publisher("W"), messages(100, 103))
    assert numbers(local.take_all(consumer, 3)) == [100, 101, 102]
    consumer.close()
    assert numbers(local.take_all(local.consumer(), 3)) == [100, 101, 102]


def test_a_publisher_whose_file_is_gone_confirms_nothing(local: Bus) -> None:
    publisher = local.publisher("W")
    publisher.send(messages(0, 1))
    (Path(local.url) / "e" / "W.db").unlink()
    with pytest.raises(BusRefusedError, match=r"W\.db was deleted or replaced"):
        publisher.outcomes(0.0)


def test_row_numbers_are_never_used_twice(local: Bus) -> None:
    publisher = local.publisher("W")
    local.publish(publisher, messages(0, 5))
    consumer = local.consumer()
    consumer.acknowledge(local.take_all(consumer, 5)[-1].delivery)
    assert publisher._delete_passed()
    publisher.close()
    assert rows(Path(local.url) / "e" / "W.db") == 0
    local.publish(local.publisher("W"), messages(5, 8))
    assert numbers(local.take_all(consumer, 3)) == [5, 6, 7]


def test_a_file_that_was_restored_from_a_copy_hides_nothing_new(local: Bus, caplog: pytest.LogCaptureFixture) -> None:
    """Its row numbers are used again, and a reader that has passed them would never see the new rows."""
    file, copy = Path(local.url) / "e" / "W.db", Path(local.url) / "copy"
    publisher = local.publisher("W")
    local.publish(publisher, messages(0, 5))
    publisher.close()
    shutil.copy(file, copy)
    publisher = local.publisher("W")
    local.publish(publisher, messages(5, 105))
    consumer = local.consumer()
    consumer.acknowledge(local.take_all(consumer, 105)[-1].delivery)
    for opened in (publisher, consumer):
        opened.close()
    for path in file.parent.glob("W.db*"):
        path.unlink()
    shutil.copy(copy, file)
    local.publish(local.publisher("W"), messages(200, 300))
    assert numbers(local.take_all(local.consumer(), 100)) == list(range(200, 300))
    assert [record.message for record in caplog.records] == [
        f"= {file} has gone back in time; continuing after what its readers have read"
    ]


# -- trimming and the cap --------------------------------------------------------------------------------------------


def test_what_the_slowest_reader_has_passed_is_deleted(local: Bus) -> None:
    local.topology().declare_queue("slow", exchange="e")
    publisher = local.publisher("W")
    local.publish(publisher, messages(0, 100))
    for queue, passed in ((local.queue, 80), ("slow", 30)):
        consumer = local.consumer(queue)
        consumer.acknowledge(local.take_all(consumer, 100)[passed - 1].delivery)
        consumer.close()
    file = Path(local.url) / "e" / "W.db"
    local.until(lambda: not publisher.outcomes(0.0) and rows(file) == 70)
    local.topology().delete_queue("slow", exchange="e")
    local.until(lambda: not publisher.outcomes(0.0) and rows(file) == 20)


def test_without_any_reader_nothing_is_deleted(local: Bus) -> None:
    publisher = local.publisher("W")
    local.publish(publisher, messages(0, 10))
    local.topology().delete_queue(local.queue, exchange="e")
    assert not publisher._delete_passed()
    assert rows(Path(local.url) / "e" / "W.db") == 10


def test_messages_that_a_binding_leaves_out_do_not_hold_up_the_trimming(local: Bus) -> None:
    topology = local.topology()
    topology.declare_queue("narrow", exchange="e", binding="wanted")
    publisher = local.publisher("W")
    local.publish(publisher, messages(0, 50))
    narrow, wide = local.consumer("narrow"), local.consumer()
    wide.acknowledge(local.take_all(wide, 50)[-1].delivery)
    assert topology.depth("narrow", exchange="e") == 0
    assert narrow.take(10, 0.0) == []
    while narrow.take(10, 0.0) or publisher._cursors.slowest().seq < 50:
        pass
    assert publisher._delete_passed()
    assert rows(Path(local.url) / "e" / "W.db") == 0


def test_a_full_file_names_the_slowest_reader(local: Bus) -> None:
    publisher = local.publisher("W", max_bytes=200_000)
    publisher.send(messages(0, 1000, 1000))
    outcomes = local.settle(publisher)
    statuses = [outcome.status for outcome in outcomes]
    kept = statuses.index("refused")
    assert statuses == ["confirmed"] * kept + ["refused"] * (1000 - kept)
    assert [outcome.id for outcome in outcomes] == [str(number) for number in range(1000)]
    assert outcomes[-1].reason.endswith("W.db is full (200,000 bytes); its slowest reader is 'q'")
    assert (Path(local.url) / "e" / "W.db").stat().st_size < 800_000  # the cap, and one look's worth of messages
    assert numbers(local.take_all(local.consumer(), kept)) == list(range(kept))


def test_a_full_disk_refuses_and_recovers(local: Bus) -> None:
    publisher = local.publisher("W")
    publisher._db.execute("PRAGMA max_page_count = 20")  # to SQLite the same as a disk without room
    batch = messages(0, 100, 10_000)
    publisher.send(batch)
    outcomes = local.settle(publisher)
    assert {outcome.status for outcome in outcomes} == {"refused"}
    assert outcomes[0].reason.endswith("W.db is full")
    assert [outcome.id for outcome in outcomes] == [m.id for m in batch]
    publisher._db.execute("PRAGMA max_page_count = 1000000")
    assert local.publish(publisher, batch) == ["confirmed"] * 100
    assert numbers(local.take_all(local.consumer(), 100)) == list(range(100))


def test_what_was_sent_and_not_committed_is_not_there_after_a_close(local: Bus) -> None:
    publisher = local.publisher("W")
    publisher.send(messages(0, 5))
    publisher.close()
    assert local.consumer().take(10, 0.0) == []


# -- files that are none of ours ---------------------------------------------------------------------------------------


def test_a_damaged_message_file_is_one_sentence(local: Bus) -> None:
    directory = Path(local.url) / "e"
    (directory / "odd.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(
        BusRefusedError, match=r"odd\.db is not a file of the local bus, or is damaged: .*; move it away"
    ):
        local.consumer().take(1, 0.0)


def test_a_file_of_another_format_is_declined(local: Bus, tmp_path: Path) -> None:
    create(tmp_path / "new.cursor", "cursor")
    with closing(sqlite3.connect(tmp_path / "new.cursor")) as db:
        db.execute("PRAGMA user_version = 2")
    with pytest.raises(BusRefusedError, match="has format 2, and this version of Tally reads only format 1"):
        connect(tmp_path / "new.cursor", synchronous="NORMAL")


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    from shoveler.bus import parse_bus_address

    address = parse_bus_address(str(tmp_path / "file" / "bus"))
    (tmp_path / "file").write_text("")
    with pytest.raises(BusUnavailableError, match="Not a directory"):
        open_publisher(address, exchange="e", writer="w", options=BusOptions())


# -- looking at readers costs little -----------------------------------------------------------------------------------


def test_readers_are_looked_at_four_times_a_second(local: Bus) -> None:
    local.publish(local.publisher("W"), messages(0, 1))
    now = 0.0
    looks = []

    class Counted(Cursors):
        def refresh(self) -> None:
            looks.append(now)
            super().refresh()

    file = Path(local.url) / "e" / "W.db"
    cursors = Counted(file, "identity", clock=lambda: now)
    for step in range(1000):
        now = step / 1000
        assert cursors.wanted("key")
    assert looks == [0.0, 0.25, 0.5, 0.75]


def test_being_past_a_file_is_not_being_past_a_later_one_of_its_name(local: Bus) -> None:
    """A settle was over at once where a collector had begun anew, with fewer records than its reader had had before."""
    topology = local.topology()
    publisher, consumer = local.publisher("W"), local.consumer()
    local.publish(publisher, messages(0, 5))
    consumer.acknowledge(local.take_all(consumer, 5)[-1].delivery)
    assert topology.is_past(local.queue, exchange="e", ends=topology.ends(exchange="e"))
    publisher.close()
    for file in (Path(local.url) / "e").glob("W.db*"):
        file.unlink()
    local.publish(local.publisher("W"), messages(5, 7))
    assert not topology.is_past(local.queue, exchange="e", ends=topology.ends(exchange="e"))
