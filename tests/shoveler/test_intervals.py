from hypothesis import given
from hypothesis import strategies as st

from shoveler.intervals import Row, added


def row(number, t_from, t_to, count=1, subject="s", reason=""):
    return Row(number, "drop", subject, reason, t_from, t_to, count)


def test_each_is_told_by_itself_unless_they_may_be_joined():
    two = [row(1, 0.0, 1.0, 5), row(2, 1.0, 2.0, 7)]
    assert added([], two) == two
    assert added([], two, within=0.0) == [row(1, 0.0, 2.0, 12)]
    assert added(two[:1], [row(2, 2.5, 3.0)], within=1.0) == [*two[:1], row(2, 2.5, 3.0)]


def test_only_what_is_alike_is_joined():
    rows = [row(1, 0.0, 1.0), row(2, 0.0, 1.0, subject="t"), row(3, 0.0, 1.0, reason="disk_full")]
    assert added([], rows, within=9.0) == rows
    assert added(rows, [row(4, 1.0, 2.0)], within=0.0) == [row(1, 0.0, 2.0, 2), *rows[1:]]


def test_beyond_the_limit_the_two_nearest_become_one():
    rows = [row(1, 0.0, 1.0), row(2, 50.0, 51.0), row(3, 51.0, 52.0, 4), row(4, 90.0, 91.0)]
    assert added(rows, [row(5, 99.0, 100.0)], limit=4) == [
        row(1, 0.0, 1.0), row(2, 50.0, 52.0, 5), row(4, 90.0, 91.0), row(5, 99.0, 100.0),
    ]  # fmt: skip


def test_where_none_are_alike_the_oldest_is_forgotten():
    rows = [row(n, n, n + 1, subject=str(n)) for n in range(3)]
    assert added(rows, [row(3, 3, 4, subject="3")], limit=3) == [*rows[1:], row(3, 3, 4, subject="3")]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.integers(1, 9)), max_size=60), st.integers(2, 9))
def test_of_few_subjects_nothing_is_lost_and_no_interval_shrinks(steps, limit):
    rows, now, told = [], 0.0, []
    for number, (subject, pause, count) in enumerate(steps):
        new = row(number, now + pause, now + pause + 1, count, subject)
        rows, now = added(rows, [new], limit=limit), now + pause + 1
        told.append(new)
    assert len(rows) <= limit
    assert sum(r.lost for r in rows) == sum(r.lost for r in told)
    for one in told:
        assert any(r.subject == one.subject and r.t_from <= one.t_from and one.t_to <= r.t_to for r in rows)
