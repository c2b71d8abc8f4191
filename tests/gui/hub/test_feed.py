"""The feed: what each session is sent of each topic, and that it ends with what was published."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from gui.hub import feed
from gui.hub.feed import PLACE, Feed, Told, Topics


class Session:
    """What one session has: `rows` by topic, from the messages it was sent; `sent` are these in short."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.told: dict[str, Told] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        self.places: dict[str, int] = {}
        self.sent: list[Any] = []

    def hear(self) -> list[Any]:
        """The messages of one beat, as (topic, put, gone, first, more) without what is empty."""
        said = []
        for one in self.topics.since(self.told):
            assert msgspec.json.decode(msgspec.json.encode(one), type=Feed) == one
            put = {key: msgspec.json.decode(raw) for key, raw in one.put.items()}
            self.places |= {key: fields.pop(PLACE) for key, fields in put.items() if PLACE in fields}
            rows = self.rows.setdefault(one.topic, {})
            if one.first:
                rows.clear()
            for key in one.gone:
                rows.pop(key, None)
            for key, fields in put.items():
                rows[key] = rows.get(key, {}) | fields
            words = [word for word, on in (("first", one.first), ("more", one.more)) if on]
            said.append((one.topic, put, *one.gone, *words))
        self.sent += said
        return said

    def hear_all(self) -> None:
        for _ in range(10_000):
            if not self.topics.behind(self.told):
                return
            self.hear()
        raise AssertionError("it never ends")


def publish(topics: Topics, rows: dict[str, Any], era: object = None) -> None:
    topics.publish("t", lambda: rows, era=era)


def row(**fields: Any) -> dict[str, Any]:
    return fields


def test_a_session_is_told_new_rows_changed_fields_and_what_is_gone() -> None:
    topics = Topics()
    session = Session(topics)
    topics.publish("t", lambda: {"a": row(x=1, y=1), "b": row(x=2, y=2)})
    assert session.hear() == [("t", {"a": {"x": 1, "y": 1}, "b": {"x": 2, "y": 2}}, "first")]
    assert session.hear() == []
    topics.publish("t", lambda: {"a": row(x=1, y=7), "b": row(x=2, y=2)})
    assert session.hear() == [("t", {"a": {"y": 7}})]
    topics.publish("t", lambda: {"b": row(x=2, y=2), "c": row(x=3, y=3)})
    assert session.hear() == [("t", {"c": {"x": 3, "y": 3}}, "a")]
    topics.publish("t", lambda: {"b": row(x=2, y=2), "c": row(x=3, y=3)})
    assert session.hear() == [], "nothing has changed"


def test_states_in_between_are_skipped_and_nothing_is_made_for_nobody() -> None:
    topics, made = Topics(), []

    def publish(x: int) -> None:
        topics.publish("t", lambda: made.append(x) or {"a": row(x=x)})

    for x in range(100):
        publish(x)
    assert made == []
    session = Session(topics)
    assert session.hear() == [("t", {"a": {"x": 99}}, "first")]
    assert made == [99]


def test_a_topic_without_rows_is_told_too() -> None:
    topics = Topics()
    session = Session(topics)
    topics.publish("t", dict)
    assert session.hear() == [("t", {}, "first")]
    assert not topics.behind(session.told)


def test_another_era_begins_anew() -> None:
    topics = Topics()
    session = Session(topics)
    topics.publish("t", lambda: {"a": row(x=1), "b": row(x=1)}, era=1)
    session.hear()
    topics.publish("t", lambda: {"a": row(x=1)}, era=2)
    assert session.hear() == [("t", {"a": {"x": 1}}, "first")]


def test_a_field_that_is_gone_makes_the_row_new() -> None:
    topics = Topics()
    session = Session(topics)
    topics.publish("t", lambda: {"a": row(x=1, y=2)})
    session.hear()
    topics.publish("t", lambda: {"a": row(x=1)})
    assert session.hear() == [("t", {"a": {"x": 1}}, "a")]
    assert session.rows["t"] == {"a": {"x": 1}}
    topics.publish("t", lambda: {"a": row(x=1, z=3)})
    assert session.hear() == [("t", {"a": {"z": 3}})]


def test_who_comes_late_gets_changes_first_then_the_newest_of_the_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MESSAGE", 16)
    topics = Topics()
    old = {str(n): row(x=n) for n in range(5)}
    topics.publish("t", lambda: dict(old))
    session = Session(topics)
    assert session.hear() == [("t", {"4": {"x": 4}, "3": {"x": 3}}, "first", "more")]
    old["1"] = row(x=7)
    topics.publish("t", lambda: dict(old))
    assert session.hear() == [("t", {"1": {"x": 7}, "2": {"x": 2}}, "more")]
    assert session.hear() == [("t", {"0": {"x": 0}})]
    old["0"] = row(x=9)
    topics.publish("t", lambda: dict(old))
    session.hear_all()
    assert session.rows["t"] == old
    assert sorted(old, key=session.places.__getitem__) == list(old)


def test_who_is_too_far_behind_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MAX_GONE", 3)
    topics = Topics()
    session = Session(topics)
    topics.publish("t", lambda: {str(n): row(x=n) for n in range(10)})
    session.hear()
    for last in range(9, 4, -1):
        publish(topics, {str(n): row(x=n) for n in range(last)})
        topics.since({})  # another session looks
    assert session.hear() == [("t", {str(n): {"x": n} for n in (4, 3, 2, 1, 0)}, "first")]


def test_a_row_that_is_far_too_large_harms_no_other(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(feed, "MAX_ROW", 100)
    topics = Topics()
    session = Session(topics)
    topics.publish("t", lambda: {"a": row(x="x" * 200), "b": row(x=1)})
    session.hear()
    assert session.rows["t"] == {"a": {}, "b": {"x": 1}}
    assert "a row of t has 214 bytes" in caplog.text


def test_one_message_is_bounded_and_so_is_what_is_kept_of_a_session() -> None:
    topics = Topics()
    topics.publish("t", lambda: {str(n): row(text="x" * 1000) for n in range(1000)})
    session = Session(topics)
    while topics.behind(session.told):
        for message in topics.since(session.told):
            assert len(msgspec.json.encode(message)) < feed.MESSAGE + 2000
    assert session.told == {"t": Told(epoch=0, start=1000, upto=1000, below=0)}


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_every_session_ends_with_what_was_published(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random changes, eras and removals; sessions that come and listen at random times."""
    chance = random.Random(seed)
    monkeypatch.setattr(feed, "MESSAGE", chance.choice([1, 20, 60, 1000]))
    monkeypatch.setattr(feed, "MAX_GONE", chance.choice([2, 10_000]))
    topics, sessions, state, era = Topics(), [], {}, 0
    for _ in range(300):
        match chance.randrange(6):
            case 0 | 1:
                state[str(chance.randrange(12))] = {
                    name: chance.randrange(3) for name in chance.sample("uvwxyz", chance.randint(1, 3))
                }
            case 2 if state:
                del state[chance.choice(sorted(state))]
            case 3 if chance.random() < 0.05:
                state, era = {}, era + 1
            case 4 if len(sessions) < 4:
                sessions.append(Session(topics))
            case _ if sessions:
                chance.choice(sessions).hear()
        publish(topics, dict(state), era)
    for session in sessions:
        session.hear_all()
        assert session.rows["t"] == state


def test_a_watcher_is_woken_by_each_change_until_it_is_released() -> None:
    topics = Topics()
    event = topics.watch()
    event.clear()
    topics.publish("t", dict)
    assert event.is_set()
    topics.unwatch(event)
    event.clear()
    topics.publish("t", dict)
    assert not event.is_set()
    stamp = object()
    topics.publish("t", dict, stamp=stamp)
    topics.watch().clear()
    again = topics.watch()
    again.clear()
    topics.publish("t", dict, stamp=stamp)
    assert not again.is_set(), "nothing has changed"
