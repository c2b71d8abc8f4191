import os

import pytest

from shoveler.spool import tail
from shoveler.spool.tail import Frame, Tail, TailReader, decode, encode, of_epoch


def frame(epoch, last, block=None):
    return Frame(
        epoch=epoch, last=last, removed=0, totals=(last,) * 8, looked=1.5, block=block,
        senders=[("192.0.2.7:1", 1, 2, 0, 0, 0, "{}", "{}", 9.0)], sockets={"boot:1": 4},
        intervals=[(1, "drop", "0.0.0.0:9993", "", 1.0, 2.0, 3)], intervals_gone=[7], generation=(1, "word"),
        input=("capture", 12),
    )  # fmt: skip


def test_there_and_back():
    one, two = frame(5, 1, (1, 1, 1000.0, 3, b"c", b"abc")), frame(5, 2)
    data = encode(one) + encode(two)
    assert list(decode(data)) == [(one, len(encode(one))), (two, len(data))]


def test_reading_ends_where_a_frame_is_not_whole():
    frames = [frame(5, number) for number in range(3)]
    data = b"".join(map(encode, frames))
    size = len(encode(frames[0]))
    for length in range(len(data)):
        assert [one for one, _ in decode(data[:length])] == frames[: length // size]
    for at in range(size, 2 * size):
        spoiled = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert [one for one, _ in decode(spoiled)] == frames[:1]


def test_frames_of_other_epochs_are_no_continuation():
    old, present, next_ = frame(1, 1), [frame(2, 2), frame(2, 3)], frame(3, 4)
    data = b"".join(map(encode, [old, *present, next_]))
    assert of_epoch(data, 2) == (present, len(data) - len(encode(next_)))
    assert of_epoch(data, 4) == ([], 0)


def test_a_frame_is_appended_whole_or_not_at_all(tmp_path, monkeypatch):
    written = Tail(tmp_path / "spool.tail")
    written.append(b"first")
    write = os.write

    def full(descriptor, data):
        if len(data) < 5:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:3])

    monkeypatch.setattr(tail.os, "write", full)  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="No space"):
        written.append(b"second")
    monkeypatch.undo()
    assert (written.read(), written.size) == (b"first", 5)
    written.append(b"third")
    assert written.read() == b"firstthird"
    written.close()


def test_a_reader_follows(tmp_path):
    path = tmp_path / "spool.tail"
    reader = TailReader(path)
    assert reader.frames(1) == []
    owner = Tail(path)
    seen = []
    for epoch, last in [(1, 1), (1, 2), (2, 3), (2, 4)]:
        owner.append(encode(frame(epoch, last)))
        seen.append([one.last for one in reader.frames(epoch)])
    owner.cut(0)
    assert reader.frames(3) == []
    owner.append(encode(frame(3, 5)))
    seen.append([one.last for one in reader.frames(3)])
    owner.append(encode(frame(3, 6))[:-1])  # it is just being written
    seen.append([one.last for one in reader.frames(3)])
    assert seen == [[1], [1, 2], [3], [3, 4], [5], [5]]
    reader.close()
    owner.close()


@pytest.mark.parametrize("read", [1, 2, 3])
def test_a_reader_misses_none_where_a_frame_ends_by_chance_where_it_stopped(tmp_path, read):
    """Datagrams of one size make frames of one size. One that the publisher did not see was confirmed with the next,
    and lost."""
    path = tmp_path / "spool.tail"
    owner, reader = Tail(path), TailReader(path)
    for last in range(1, read + 1):
        owner.append(encode(frame(1, last)))
    assert len(reader.frames(1)) == read
    owner.cut(0)
    for last in range(11, 15):
        owner.append(encode(frame(2, last)))
    assert [one.last for one in reader.frames(2)] == [11, 12, 13, 14]
    reader.close()
    owner.close()
