"""Records as JSON text, filtered, in their normal and their WLCG form, until they are taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from collector.correlate.options import Options, Record
from collector.correlate.senders import Totals
from collector.records.paths import under_any
from collector.records.text import routing_word
from collector.records.wlcg import wlcg_event, wlcg_file
from collector.wire.header import RejectedError

_encode = msgspec.json.Encoder().encode


class Outbox:
    """Records created and not yet taken."""

    def __init__(self, options: Options, totals: Totals) -> None:
        self.records: list[Record] = []
        self._options = options
        self._totals = totals

    def take(self) -> list[Record]:
        """Return the records and forget them."""
        taken = self.records
        self.records = []
        return taken

    def dropped(self, vo: str | None, path: str | None) -> bool:
        """Whether the operator's filters drop records of this VO or path; counted if so."""
        options = self._options
        if vo is not None and vo.lower() in options.drop_vos:
            self._totals.dropped["vo"] += 1
            return True
        if under_any(path, options.drop_path_prefixes):
            self._totals.dropped["path"] += 1
            return True
        return False

    def put_file(self, fields: dict[str, Any], vo: str | None, path: str | None, now: float) -> bool:
        """Write a file record; False when it was dropped."""
        if self.dropped(vo, path):
            return False
        options = self._options
        word = routing_word(vo)
        record_id: str = fields["record_id"]
        wlcg = options.wlcg and (
            (vo is not None and vo.lower() in options.wlcg_vos) or under_any(path, options.wlcg_path_prefixes)
        )
        if not (wlcg and options.wlcg_only):
            self._put(Record("file", word, record_id, _encode(fields)))
        if wlcg:
            form = wlcg_file(fields, now=now, host=options.host)
            self._put(Record("wlcg", word, record_id, _encode(form)))
        return True

    def put_event(
        self, kind: str, fields: dict[str, Any], paths: Sequence[str], now: float, vo: str | None = None
    ) -> None:
        """Write a record of any other kind. Filters check `paths` and the `vo` of its session. Raises RejectedError:
        json, when it has numbers or text that JSON cannot represent.
        """
        if any(self.dropped(vo, path) for path in paths or (None,)):
            return
        options = self._options
        wlcg = (
            options.wlcg
            and kind in ("cache", "tpc")
            and any(under_any(path, options.wlcg_path_prefixes) for path in paths)
        )
        try:
            body = _encode(fields)
        except (OverflowError, ValueError, msgspec.EncodeError) as error:
            raise RejectedError("json", str(error)) from None
        if not (wlcg and options.wlcg_only):
            self._put(Record(kind, routing_word(vo), fields["record_id"], body))
        if wlcg:
            form = wlcg_event(fields, copy=kind == "tpc", now=now, host=options.host)
            self._put(Record(f"wlcg-{kind}", routing_word(vo), fields["record_id"], _encode(form)))

    def _put(self, record: Record) -> None:
        self.records.append(record)
        self._totals.records[record.kind] += 1
