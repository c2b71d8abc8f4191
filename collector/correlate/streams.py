"""Processes every kind of datagram: decoded, assigned to its process, checked for its sequence, and applied."""

from __future__ import annotations

import re

from collector.correlate import statistics
from collector.correlate.accesses import Accesses
from collector.correlate.delivered import note_event
from collector.correlate.events import events_of, redirect_fields, summary_fields
from collector.correlate.fast import FastFiles, whole
from collector.correlate.incarnation import Event, Incarnation
from collector.correlate.maps import Maps
from collector.correlate.options import Options
from collector.correlate.present import Present
from collector.correlate.processes import Processes
from collector.correlate.senders import Sender, Totals
from collector.correlate.sequence import DUPLICATE, NEW
from collector.correlate.sequences import Sequences
from collector.correlate.waiting import Waiting
from collector.records.ids import event_id
from collector.records.text import clean_text
from collector.wire import fstream, gstream, maps, redirect, summary, trace
from collector.wire.header import Kind, RejectedError, parse_header

BEFORE_5_2 = re.compile(r"v5\.[01](\D|$)", re.ASCII).match
MAX_COPIES = 10_000
"""Third-party copies remembered."""
MAX_REPORTS = 256
"""Summary reports, and other datagrams without a sequence number, that are remembered to tell duplicates."""


class Streams:
    """Applies datagrams. Methods raise RejectedError when nothing of one could be used; the rest is counted here."""

    def __init__(
        self,
        options: Options,
        present: Present,
        processes: Processes,
        sequences: Sequences,
        accesses: Accesses,
        fast: FastFiles,
        waiting: Waiting,
        maps_: Maps,
        totals: Totals,
    ) -> None:
        self._options = options
        self._present = present
        self._processes = processes
        self._sequences = sequences
        self._accesses = accesses
        self._fast = fast
        self._waiting = waiting
        self._writer = waiting.writer
        self._maps = maps_
        self._totals = totals
        self.quick = True
        """Take the fast path where possible. (A test sets it False.)"""
        self.reports: dict[str, None] = {}
        """Ids of summary reports seen recently."""
        self._apply = {
            Kind.MAP: self._map,
            Kind.FSTREAM: self._fstream,
            Kind.TRACE: self._trace,
            Kind.REDIRECT: self._redirect,
            Kind.GSTREAM: self._gstream,
            Kind.TEXT: self._text,
            Kind.SUMMARY_XML: self._summary_xml,
            Kind.SUMMARY_JSON: self._summary_json,
        }

    def apply(self, kind: Kind, data: bytes, remote: str, sender: Sender) -> None:
        """Apply one datagram of a kind."""
        self._apply[kind](data, remote, sender)

    def _problems(self, sender: Sender, *problems: str | None) -> None:
        for problem in problems:
            if problem is not None:
                sender.rejected[problem] += 1
                self._totals.rejected[problem] += 1

    # -------------------------------------------------------------- f-stream

    def _fstream(self, data: bytes, remote: str, sender: Sender) -> None:
        usual = whole(data)
        if usual is None:
            self._fstream_unusual(data, remote, sender)
            return
        number, stod, sid, window = usual
        inc = self._processes.find(remote, stod, sid, sender)
        if inc.shared:
            inc = self._processes.one_of(inc, remote, sender, number, data)
        verdict = self._sequences.observe_files(inc, number, data, window.begin, window.end, remote)
        if verdict == DUPLICATE:
            return
        self._heard_files(inc, remote)
        if self.quick and verdict == NEW and not inc.unsettled:
            self._fast.apply(inc, data, window, sender)
            return
        items, problems = fstream.parse_fstream(data, len(data))
        self._problems(sender, *problems)
        self._accesses.apply(inc, items, window, verdict)

    def _fstream_unusual(self, data: bytes, remote: str, sender: Sender) -> None:
        """Cut short, too long, from an old server without sid, or damaged."""
        header = parse_header(data)
        items, problems = fstream.parse_fstream(data, header.end)
        if not items:
            raise RejectedError(problems[0] if problems else "short")
        window = items[0].item
        if not isinstance(window, fstream.Window):
            raise RejectedError("no_window")
        sid = window.sid if window.sid is not None else self._processes.sid_of(remote, header.stod)
        inc = self._processes.find(remote, header.stod, sid or 0, sender)
        if inc.shared:
            inc = self._processes.one_of(inc, remote, sender, header.pseq, data)
        verdict = self._sequences.observe_files(inc, header.pseq, data, window.begin, window.end, remote)
        if verdict == DUPLICATE:
            return
        self._problems(sender, header.problem, *problems)
        self._heard_files(inc, remote)
        self._accesses.apply(inc, items, window, verdict)

    def _heard_files(self, inc: Incarnation, remote: str) -> None:
        """An f-stream datagram of a process is about to be applied: note the path by which it comes now."""
        inc.fstreams += 1
        if inc.remote != remote or inc.shoveler != self._present.shoveler:
            if inc.remote != remote:
                inc.files_move(remote, self._present.now)
            inc.remote, inc.shoveler = remote, self._present.shoveler
            inc.not_ready()

    # -------------------------------------------------------------- maps

    def _map(self, data: bytes, remote: str, sender: Sender) -> None:
        header = parse_header(data)
        message = maps.parse_map(data)
        sid = message.userid.sid or self._processes.sid_of(remote, header.stod) or 0
        inc = self._processes.find(remote, header.stod, sid, sender)
        if message.code == "=":
            inc = self._processes.identify(inc, message.userid, remote, sender)
        elif message.code == "u" and inc.shared:
            inc = self._processes.session_of_one(inc, message, remote, sender)
        whole = data[: header.end]
        if self._sequences.observe(inc, "M", remote, header.pseq, whole) == DUPLICATE:
            return
        self._problems(sender, header.problem)
        if inc.shoveler is None:
            inc.shoveler = self._present.shoveler
        self._maps.apply(inc, message, sender)

    # -------------------------------------------------------------- other binary streams

    def _trace(self, data: bytes, remote: str, sender: Sender) -> None:
        """The trace produces no records: it is only read to follow the sequence, which it shares with the maps."""
        header = parse_header(data)
        sid = trace.sid_of(data, header.end) or self._processes.sid_of(remote, header.stod)
        if sid is None:
            raise RejectedError("no_server")
        inc = self._processes.find(remote, header.stod, sid, sender)
        if self._sequences.observe(inc, "M", remote, header.pseq, data) == DUPLICATE:
            return
        _, problems = trace.parse_trace(data, header.end)
        self._problems(sender, header.problem, *problems)

    def _redirect(self, data: bytes, remote: str, sender: Sender) -> None:
        header = parse_header(data)
        parsed = redirect.parse_redirects(data, header.end)
        inc = self._processes.find(remote, header.stod, parsed.sid, sender)
        if self._sequences.observe(inc, "M", remote, header.pseq, data) == DUPLICATE:
            return
        self._problems(sender, header.problem, *parsed.problems)
        body = data[8 : header.end]
        number = inc.copy_number(remote, body)
        if not number:
            sender.duplicate += 1
            self._totals.duplicate += 1
            return
        for ordinal, item in enumerate(parsed.redirects):
            identity = event_id("redirect", inc.sid, inc.stod, number << 16 | ordinal, body)
            fields = redirect_fields(item)
            event = Event("redirect", identity, fields, [fields.get("filename", "")], item.user, self._present.now)
            self._waiting.settle(inc, event)

    def _gstream(self, data: bytes, remote: str, sender: Sender) -> None:
        stream = gstream.parse_gstream(data)
        assert stream.stod is not None
        assert stream.sid is not None
        assert stream.pseq is not None
        inc = self._processes.find(remote, stream.stod, stream.sid, sender)
        class_ = f"G{stream.provider}"
        verdict = self._sequences.observe(
            inc, class_, remote, stream.pseq, data, stream.begin, stream.end, everywhere=True
        )
        if verdict == DUPLICATE:
            return
        self._problems(sender, stream.problem)
        self._events(inc, stream, sender)

    # -------------------------------------------------------------- text

    def _text(self, data: bytes, remote: str, sender: Sender) -> None:
        stream = gstream.parse_text(data)
        if stream.stod is None or stream.sid is None or stream.pseq is None:
            self._headerless(stream, data, sender)
            return
        inc = self._processes.find(remote, stream.stod, stream.sid, sender)
        class_ = self._text_class(inc, stream)
        number = stream.pseq % 1000
        if stream.pseq == gstream.OVERFLOW:  # it stands between 999 and 0 and so leaves no gap
            if self._told_before(event_id(class_, inc.sid, inc.stod, 0, data), sender):
                return
        elif (
            self._sequences.observe(inc, class_, remote, number, data, stream.begin, stream.end, modulus=1000)
            == DUPLICATE
        ):
            return
        source = stream.source
        says_all = source.program is not None  # the fullest header is what ``=`` has
        if (inc.host is None and source.host) or (inc.ident is None and (stream.code == "=" or says_all)):
            inc.host = inc.host or source.host
            if inc.ident is None and (stream.code == "=" or says_all):
                inc.ident = maps.Ident(source.site, source.port, source.instance, source.program, source.version)
            inc.not_ready()
        self._processes.named(sender.address, inc)
        if stream.code == "g":
            self._events(inc, stream, sender)

    @staticmethod
    def _text_class(inc: Incarnation, stream: gstream.GStream) -> str:
        """Which counter: data, idents and dictionaries have one each since XRootD 5.2 (format reference, section 3);
        before, one for all that a stream sends, and each stream has a socket of its own.
        """
        version = stream.source.version or (inc.ident.version if inc.ident is not None else None)
        if version is not None and BEFORE_5_2(version):
            return "G text"
        provider = clean_text(stream.provider[:8])
        return {"g": f"G{provider} text", "=": "G= text"}.get(stream.code, "Gd text")

    def _headerless(self, stream: gstream.GStream, data: bytes, sender: Sender) -> None:
        """Events without a header (``nohdr``): only the address shows which server they are from. They have no number:
        the same bytes within a second are a duplicate.
        """
        inc = self._processes.at(sender.address)
        if inc is None:
            raise RejectedError("no_server", "events without a header, from an address that has not named itself")
        self._processes.heard(inc)
        if not self._told_before(event_id("text", inc.sid, inc.stod, int(self._present.arrived), data), sender):
            self._events(inc, stream, sender)

    def _events(self, inc: Incarnation, stream: gstream.GStream, sender: Sender) -> None:
        good = 0
        for ordinal, line in enumerate(stream.lines):
            try:
                events = events_of(stream, line, ordinal, sender.address, self._present.now, self._present.arrived)
            except RejectedError as rejected:
                self._problems(sender, rejected.reason)
                continue
            good += 1
            for event in events:
                self._event(inc, event, stream, ordinal)
        if stream.stod is None and stream.lines and not good:
            raise RejectedError("unknown", "text that is not an event of any known kind")

    def _event(self, inc: Incarnation, event: Event, stream: gstream.GStream, ordinal: int) -> None:
        if event.kind == "oss":
            due = statistics.observe(inc, event, self._time_of(stream, ordinal), self._options.oss_interval)
            if due is None:
                return
            event = due
        elif event.kind == "tpc" and event.paths:
            copies = self._writer.copies
            copies[inc.sid, event.paths[0]] = self._present.now
            if len(copies) > MAX_COPIES:
                del copies[next(iter(copies))]
        elif event.kind == "cache" and event.paths:
            note_event(inc, event.paths[0], event.fields)
            if inc.wait_server:
                self._waiting.again_server(inc)
        self._waiting.settle(inc, event)

    def _time_of(self, stream: gstream.GStream, ordinal: int) -> float:
        """When the server reported a line: the lines are spread evenly over the window of the datagram."""
        if stream.begin is None:
            return self._present.arrived
        end = stream.end if stream.end is not None else stream.begin
        return stream.begin + (end - stream.begin) * ordinal / max(1, len(stream.lines) - 1)

    def _summary_xml(self, data: bytes, remote: str, sender: Sender) -> None:
        del remote
        self._summary(summary.parse_summary_xml(data), data, sender)

    def _summary_json(self, data: bytes, remote: str, sender: Sender) -> None:
        del remote
        self._summary(summary.parse_summary_json(data), data, sender)

    def _summary(self, report: summary.Summary, data: bytes, sender: Sender) -> None:
        self._problems(sender, *report.problems)
        identity = event_id("summary", None, None, 0, data)
        if self._told_before(identity, sender):
            return
        fields = summary_fields(report, identity, sender.address)
        self._writer.outbox.put_event("summary", fields, (), self._present.now)

    def _told_before(self, identity: str, sender: Sender) -> bool:
        """Whether a datagram that has no sequence number has come before; counted if so."""
        if identity in self.reports:
            sender.duplicate += 1
            self._totals.duplicate += 1
            return True
        self.reports[identity] = None
        if len(self.reports) > MAX_REPORTS:
            del self.reports[next(iter(self.reports))]
        return False
