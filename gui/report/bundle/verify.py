"""Whether a bundle agrees with itself: every line of it is read and compared with the others before anything is stored.

Only what cannot be is declined here. Figures that *may* be right and are not (somebody wrote 100 % over them) are found
by working them out again (`gui.report.bundle.rescore`), which takes a database.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec

from gui.report.bundle import format as limits
from gui.report.bundle.archive import Archive
from gui.report.bundle.format import (
    CONTENT,
    FORMAT,
    MANIFEST,
    RECORDS,
    REQUESTS,
    RUN,
    SAMPLES,
    SCHEMA,
    SIGNATURE,
    VERDICTS,
    BundleError,
    BundleRequest,
    BundleRun,
    BundleSample,
    BundleScoring,
    BundleVerdict,
    Manifest,
    PartSum,
    Signature,
)
from gui.report.bundle.seal import seal_of
from gui.store import Seal, match_key
from gui.store.keys import text_key
from gui.store.loader import Access, Batch, Source, decode
from shoveler.service import StatusError, decode_status

Part = TypeVar("Part")

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
"""What decoding raises; ValueError: a number of more digits than Python reads."""
_SCHEMES = ("root", "roots", "xroot", "xroots", "http", "https", "dav", "davs")
_MAX_INT = 2**63 - 1
_CHUNK = 2_000


class Owner(NamedTuple):
    """Who has a tag: places of its repeat, agent and server, and its slot."""

    repeat: int
    agent: int
    server: int
    slot: int


@dataclass(frozen=True, slots=True)
class Verified:
    """A bundle that agrees with itself. `owners` has the tags in the order in which they first asked."""

    manifest: Manifest
    run: BundleRun
    environment: dict[str, Any]
    versions: dict[str, Any]
    owners: dict[str, Owner]
    sums: dict[str, PartSum]
    """Of each part, as it was read."""
    seal: Seal


def verify(archive: Archive, signers: Mapping[str, str]) -> Verified:
    """Read all of a bundle. Raises BundleError. `signers`: names of known signing keys, by key."""
    text = archive.whole(MANIFEST, limits.MAX_SMALL)
    manifest = _manifest(archive, text)
    signature = None
    if SIGNATURE in archive:
        signature = decoded(archive, SIGNATURE, archive.whole(SIGNATURE, limits.MAX_SMALL), Signature)
    run = decoded(archive, RUN, archive.whole(RUN, limits.MAX_RUN), BundleRun)
    return _Check(archive, manifest, run).all(text, signature, signers)


def decoded(archive: Archive, part: str, text: bytes, kind: type[Part]) -> Part:
    """A part as the type that it should be of. Raises BundleError."""
    try:
        return msgspec.json.decode(text, type=kind)
    except UNREADABLE as error:
        raise BundleError(f"{part} in {archive.name} cannot be read: {_plain(error)}.") from None


def rows(archive: Archive, part: str, kind: type[Part]) -> Iterator[Part]:
    """The lines of a part, decoded. Raises BundleError."""
    decode_line = msgspec.json.Decoder(kind).decode
    number = 0
    try:
        for number, line in enumerate(archive.lines(part), 1):  # noqa: B007 - for the sentence below
            yield decode_line(line)
    except UNREADABLE as error:
        raise BundleError(f"Line {number:,} of {part} in {archive.name} cannot be read: {_plain(error)}.") from None


def _plain(error: Exception) -> str:
    """Why something cannot be read, for a person: not by the pattern that it should have had."""
    return re.sub(r"Expected `str` matching regex '.*?'(?= - at|$)", "text of a form that it cannot have", str(error))


def _manifest(archive: Archive, text: bytes) -> Manifest:
    """The manifest, whose schema is looked at first: a newer one may have other fields."""
    head = decoded(archive, MANIFEST, text, _Head)
    if head.format != FORMAT:
        raise BundleError(f"{archive.name} is no bundle of Tally: its format is {head.format[:40]!r}.")
    if head.schema > SCHEMA:
        raise BundleError(
            f"{archive.name} has bundle schema {head.schema}, made by Tally {head.tally[:40]!r}; this one knows "
            f"{SCHEMA}. Update Tally."
        )
    manifest = decoded(archive, MANIFEST, text, Manifest)
    wanted = CONTENT if manifest.schema >= 3 else ()
    if sorted(manifest.parts) != sorted(wanted):
        raise BundleError(f"{MANIFEST} in {archive.name} contradicts itself: it does not speak of every part.")
    if SIGNATURE in archive and not wanted:
        raise BundleError(f"{archive.name} contradicts itself: bundles of schema {manifest.schema} were not signed.")
    return manifest


class _Head(msgspec.Struct, frozen=True):
    format: str
    schema: int
    tally: str


class _Check:
    """One bundle that is being looked at."""

    def __init__(self, archive: Archive, manifest: Manifest, run: BundleRun) -> None:
        self._archive = archive
        self._manifest = manifest
        self._run = run
        self._counts = [0] * len(run.repeats)
        """Requests of each repeat."""
        self._repeat_of = array("L")
        """The repeat of each request."""
        self._owners: dict[str, Owner] = {}

    def all(self, text: bytes, signature: Signature | None, signers: Mapping[str, str]) -> Verified:
        environment = self._free("environment", self._run.environment)
        versions = self._free("versions", self._run.versions)
        self._check_lists()
        self._check_statuses()
        manifest = self._manifest
        self._check_requests()
        self._check_number(REQUESTS, manifest.requests)
        self._check_scorings()
        self._check_records()
        self._check_number(RECORDS, manifest.records)
        self._check_verdicts()
        self._check_number(VERDICTS, manifest.verdicts)
        self._check_samples()
        self._check_number(SAMPLES, manifest.samples)
        seal = seal_of(manifest, text, signature, self._archive.sums, signers)
        return Verified(manifest, self._run, environment, versions, self._owners, dict(self._archive.sums), seal)

    def _check_number(self, part: str, said: int) -> None:
        found = self._archive.sums[part].lines
        if found != said:
            raise BundleError(f"{part} in {self._archive.name} has {found:,} lines; its manifest says {said:,}.")

    def _wrong(self, part: str, why: str) -> BundleError:
        return BundleError(f"{part} in {self._archive.name} contradicts itself: {why}.")

    # ---- run.json

    def _free(self, what: str, raw: msgspec.Raw) -> dict[str, Any]:
        text = bytes(raw)
        if len(text) > limits.MAX_FREE:
            raise BundleError(f"{RUN} in {self._archive.name}: {what} is larger than {limits.MAX_FREE:,} bytes.")
        value: dict[str, Any] = decoded(self._archive, RUN, text, dict[str, Any])
        self._check_value(what, value)
        return value

    def _check_value(self, what: str, value: Any) -> None:
        """Numbers of 64 bits and not too many levels, in a value of free form."""
        level = [value]
        depth = 0
        while level:
            depth += 1
            if depth > limits.MAX_DEPTH:
                raise BundleError(f"{RUN} in {self._archive.name}: {what} has more than {limits.MAX_DEPTH} levels.")
            below: list[Any] = []
            for item in level:
                if isinstance(item, dict):
                    below += item.values()
                elif isinstance(item, list):
                    below += item
                elif isinstance(item, int) and not -_MAX_INT <= item <= _MAX_INT:
                    raise BundleError(f"{RUN} in {self._archive.name}: {what} has a number beyond 64 bits.")
            level = below

    def _check_lists(self) -> None:
        """What types cannot say of ``run.json``: that its lists fit together, and addresses lead to servers."""
        run = self._run
        seen = set()
        for repeat in run.repeats:
            here = (repeat.test, repeat.number)
            if not 1 <= repeat.test <= len(run.tests) or here in seen:
                raise self._wrong(RUN, f"repeat {repeat.test}.{repeat.number}")
            if not 1 <= repeat.number <= run.tests[repeat.test - 1].repeats:
                raise self._wrong(RUN, f"test {repeat.test} has no repeat {repeat.number}")
            seen.add(here)
        urls = [server.url for server in run.servers]
        if len(set(urls)) < len(urls):
            raise self._wrong(RUN, "a server is there twice")
        for url in urls:
            if not _is_address(url):
                raise BundleError(f"{RUN} in {self._archive.name}: {url[:80]!r} is no address of a server.")
        daemons = [(status.program, status.member, status.started) for status in run.statuses]
        if len(set(daemons)) < len(daemons):
            raise self._wrong(RUN, "a daemon is there twice")

    def _check_statuses(self) -> None:
        for status in self._run.statuses:
            self._check_status(status.program, status.member, status.first)
            self._check_status(status.program, status.member, status.last)
        for step in self._run.steps:
            self._check_status(step.program, step.member, step.body)

    def _check_status(self, program: str, member: str, body: str) -> None:
        try:
            message = decode_status(f"{program}.{member}", body.encode())
        except (StatusError, ValueError) as error:
            raise BundleError(
                f"{RUN} in {self._archive.name}: a status message of {program} {member[:40]!r} cannot be read: {error}."
            ) from None
        self._check_value(f"a status message of {program} {member[:40]!r}", msgspec.to_builtins(message))

    def _check_scorings(self) -> None:
        for repeat, asked in zip(self._run.repeats, self._counts, strict=True):
            for scoring in repeat.scorings:
                why = _impossible(scoring, asked, self._manifest.records)
                if why:
                    raise self._wrong(RUN, f"a scoring of test {repeat.test}, repeat {repeat.number}, {why}")

    # ---- lines

    def _check_requests(self) -> None:
        run = self._run
        owners, counts = self._owners, self._counts
        repeats, servers, agents = len(run.repeats), len(run.servers), len(run.agents)
        asked = _Once()
        total = 0
        for number, request in enumerate(rows(self._archive, REQUESTS, BundleRequest), 1):
            if request.repeat >= repeats or request.server >= servers or request.agent >= agents:
                raise self._wrong(REQUESTS, f"line {number:,} is of a repeat, server or client that is not there")
            owner = Owner(request.repeat, request.agent, request.server, request.slot)
            if owners.setdefault(request.tag, owner) != owner:
                raise self._tag_twice(number, request.tag)
            if any(t is not None and 0 < t < 1 for t in (request.t_started, request.t_open, request.t_close)):
                raise self._wrong(REQUESTS, f"line {number:,} is of the first second of 1970")
            asked.add(match_key(request.tag, request.path))
            counts[request.repeat] += 1
            self._repeat_of.append(request.repeat)
            total += request.read_asked + request.readv_asked + request.written + request.read_got + request.readv_got
            if total > limits.MAX_SUM:
                raise self._wrong(REQUESTS, f"up to line {number:,} more bytes than 64 bits can count")
        key = asked.twice()
        if key is not None:
            again = [
                (number, request.tag)
                for number, request in enumerate(rows(self._archive, REQUESTS, BundleRequest), 1)
                if match_key(request.tag, request.path) == key
            ]
            raise self._tag_twice(*again[1])

    def _tag_twice(self, number: int, tag: str) -> BundleError:
        return self._wrong(REQUESTS, f"in line {number:,} the tag {tag} is used twice")

    def _check_records(self) -> None:
        seen = _Once()
        total = 0
        for begin, bodies, accesses in self._records():
            for tag, access in accesses:
                if not tag:
                    raise self._wrong_record(begin, bodies, access, "is of a tag that no request has")
                facts = access[2]
                seen.add(_key_of(tag, access))
                total += (facts[3] or 0) + (facts[4] or 0) + (facts[5] or 0)
            if total > limits.MAX_SUM:
                raise self._wrong(RECORDS, f"up to line {begin + len(bodies):,} more bytes than 64 bits can count")
        key = seen.twice()
        if key is not None:
            *_, last = (
                (begin, bodies, access)
                for begin, bodies, accesses in self._records()
                for tag, access in accesses
                if _key_of(tag, access) == key
            )
            raise self._wrong_record(*last, "is there before")

    def _records(self) -> Iterator[tuple[int, list[bytes], list[tuple[str, Access]]]]:
        """The records in parts: the number of the first line, the lines, and each record with the tag of its request
        (empty: none). Raises BundleError."""
        lines = self._archive.lines(RECORDS)
        begin = 1
        while bodies := list(islice(lines, _CHUNK)):
            batch = decode(bodies)
            if batch.bad or batch.other or batch.adapted:
                raise self._unreadable(bodies, batch, begin)
            own = {id(source): self._tag_of(source) for source in batch.sources}
            yield begin, bodies, [(own[id(access[0])], access) for access in batch.accesses]
            begin += len(bodies)

    def _wrong_record(self, begin: int, bodies: list[bytes], access: Access, why: str) -> BundleError:
        number = begin + next(place for place, body in enumerate(bodies) if body is access[1])
        return self._wrong(RECORDS, f"the record in line {number:,} {why}")

    def _unreadable(self, bodies: list[bytes], batch: Batch, begin: int) -> BundleError:
        if batch.adapted:  # they come first: what is wrong with them is not said of a line of this file
            return BundleError(f"{RECORDS} in {self._archive.name} has a record that is not in Tally's form.")
        if not batch.rejected:
            kind = batch.other[0].kind[:40]
            return BundleError(f"{RECORDS} in {self._archive.name} has a record of kind {kind!r}; no bundle has.")
        number = begin + next(place for place, body in enumerate(bodies) if body is batch.rejected[0])
        return BundleError(f"Line {number:,} of {RECORDS} in {self._archive.name} cannot be read: {batch.problems[0]}.")

    def _tag_of(self, source: Source) -> str:
        return next((tag for tag in source.said if tag in self._owners), "")

    def _check_verdicts(self) -> None:
        last: dict[tuple[int, int], int] = {}
        total = 0
        for number, verdict in enumerate(rows(self._archive, VERDICTS, BundleVerdict), 1):
            scoring = (verdict.repeat, verdict.scoring)
            if verdict.repeat >= len(self._run.repeats) or verdict.scoring >= len(
                self._run.repeats[verdict.repeat].scorings
            ):
                raise self._wrong(VERDICTS, f"line {number:,} is of a scoring that is not there")
            if verdict.request >= len(self._repeat_of) or self._repeat_of[verdict.request] != verdict.repeat:
                raise self._wrong(VERDICTS, f"line {number:,} is on a request that its repeat does not have")
            if verdict.request <= last.get(scoring, -1):
                raise self._wrong(VERDICTS, f"line {number:,} is a second verdict, or not in the order of requests")
            last[scoring] = verdict.request
            total += verdict.read + verdict.readv + verdict.write
            if total > limits.MAX_SUM:
                raise self._wrong(VERDICTS, f"up to line {number:,} more bytes than 64 bits can count")

    def _check_samples(self) -> None:
        last: dict[int, tuple[int, int]] = {}
        for number, sample in enumerate(rows(self._archive, SAMPLES, BundleSample), 1):
            if sample.repeat >= len(self._run.repeats) or sample.server >= len(self._run.servers):
                raise self._wrong(SAMPLES, f"line {number:,} is of a repeat or server that is not there")
            here = (sample.second, sample.server)
            if here <= last.get(sample.repeat, (-1, -1)):
                raise self._wrong(SAMPLES, f"line {number:,} is a second one, or not in the order of time")
            last[sample.repeat] = here


class _Once:
    """Keys of which none should be there twice, in 8 bytes each: a set would take a hundred."""

    def __init__(self) -> None:
        self._parts = [array("q") for _ in range(256)]

    def add(self, key: int) -> None:
        """Add a key of 64 bits."""
        self._parts[key & 255].append(key)

    def twice(self) -> int | None:
        """A key that was added twice; None when there is none."""
        for part in self._parts:
            if len(set(part)) < len(part):
                return Counter(part).most_common(1)[0][0]
        return None


def _key_of(tag: str, access: Access) -> int:
    """One for each record of a request."""
    facts = access[2]
    return text_key(f"{tag}\0{facts[1] or ''}\0{facts[0]}")


def _impossible(scoring: BundleScoring, asked: int, records: int) -> str:
    """Why these figures cannot be, whatever was asked and recorded; empty when they can."""
    verdicts = (
        scoring.matched
        + scoring.late
        + scoring.wrong_bytes
        + scoring.missing
        + scoring.duplicate
        + scoring.client_failed
        + scoring.not_waited
    )
    if scoring.total > asked:
        return f"counts {scoring.total:,} requests of {asked:,}"
    if verdicts != scoring.total:
        return f"has {verdicts:,} verdicts on {scoring.total:,} requests"
    limits_of = {
        "recorded": scoring.total,
        "recovered": scoring.total,
        "unreported": scoring.client_failed,
        "unrequested": records,
    }
    for name, whole in limits_of.items():
        if (part := getattr(scoring, name)) > whole:
            return f"counts {part:,} {name} of {whole:,}"
    if any(t is not None and 0 < t < 1 for t in (scoring.first_open, scoring.last_close)):
        return "is of the first second of 1970"
    return ""


def _is_address(url: str) -> bool:
    """Whether a URL leads to a server, as `gui.campaign` takes them: scheme, host, perhaps a port."""
    try:
        parts = urlsplit(url)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
