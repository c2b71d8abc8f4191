"""Storage statistics (g-stream ``O``): cumulative counters once a second become differences over an interval."""

from __future__ import annotations

from typing import Any

from collector.correlate.incarnation import Event, Incarnation, Series
from collector.records.ids import event_id

MAX_SERIES = 16
"""Names of events (``oss_stats``, ``oss_stats_pfc`` …) followed per process."""
_OURS = frozenset(("from", "port", "tbeg", "tend"))


def observe(inc: Incarnation, event: Event, time: float, interval: float) -> Event | None:
    """Take one event with cumulative counters, reported at `time` (packet time); returns the record that is due, if
    any.

    The first event of a process that began no more than `interval` ago counts from its start, where all are 0;
    any other first event is only a baseline for later ones. Late or repeated events are ignored.
    """
    name = str(event.fields.get("event", ""))[:64]
    counters = {k: v for k, v in event.fields.items() if _is_counter(k, v)}
    series = inc.statistics.get(name)
    if series is None:
        if len(inc.statistics) >= MAX_SERIES:
            return None
        began = 0 <= time - inc.stod <= interval
        series = Series(float(inc.stod), dict.fromkeys(counters, 0), time, counters, "")
        if not began:
            series.told, series.base = time, counters
        inc.statistics[name] = series
    elif time > series.newest:
        series.newest, series.latest = time, counters
    else:
        return None
    series.address = str(event.fields.get("from", ""))
    inc.statistics_changed = True
    return _written(inc, name, series, event.since) if series.newest - series.told >= interval else None


def remaining(inc: Incarnation, now: float) -> list[Event]:
    """What was reported and not yet written, for when nothing more will come."""
    return [_written(inc, name, series, now) for name, series in inc.statistics.items() if series.due]


def _written(inc: Incarnation, name: str, series: Series, now: float) -> Event:
    """The record of a series, which then starts again. A counter that went back is counted from 0."""
    fields: dict[str, Any] = {"event": name} if name else {}
    for counter, value in series.latest.items():
        before = series.base.get(counter, 0)
        difference = value - before if value >= before else value
        fields[counter] = difference if isinstance(difference, int) else round(difference, 4)
    begin, end = int(series.told), int(series.newest)
    fields |= {"tbeg": begin, "tend": end, "interval": end - begin}
    if series.address:
        fields["from"] = series.address
    identity = event_id("oss", inc.sid, inc.stod, 0, f"{name}\0{series.told!r}\0{series.newest!r}".encode())
    series.told, series.base = series.newest, series.latest
    inc.statistics_changed = True
    return Event("oss", identity, fields, [], 0, now)


def _is_counter(name: str, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and name not in _OURS
