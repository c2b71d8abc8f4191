"""Checks before a big run that everything it needs is in place. A checklist; each item says what to do.

    async for check in preflight(workspace, plan): show(check)

Items are yielded as they are checked; one that depends on a failed one is *skipped*. Nothing is changed and no run is
started; each server sees one short client session, which makes it send the datagrams that are checked for.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent.messages import Probe, Probed
from gui.campaign.catalogue import CatalogueError
from gui.campaign.plan import File, Plan, Test
from gui.campaign.preview import preview_test, request_seconds
from gui.campaign.selection import Client, SelectionError, Server, choose_clients, choose_servers
from gui.hub import AgentView
from gui.runner.lab import cannot
from gui.runner.probes import ProbeError
from gui.runner.resolve import Catalogues, RunRefusedError, address_of, present_clients, reached_twice
from gui.runner.workspace import Workspace
from shoveler.service import ShovelerStatus
from shoveler.values.quantities import about_duration, about_size

State = Literal["ok", "warning", "failed", "skipped"]

CLOCK_LIMIT = 1.0
FILES_PROBED = 200
"""Number of files whose presence and size are checked on each server, spread over the catalogue."""
PROBES_AT_ONCE = 16
DATAGRAM_SECONDS = 15.0
ROOM_PER_REQUEST = 2000
"""Bytes in the database for a request with its record, rounded up."""
BUSY_CPU = 80.0


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checklist. `remedy`: what to do when it is not ok; `details`: a line for each bad thing."""

    name: str
    title: str
    state: State
    text: str
    remedy: str = ""
    details: tuple[str, ...] = ()


async def preflight(
    workspace: Workspace, plan: Plan, *, files: str | None = None, directory: Path | None = None
) -> AsyncIterator[Check]:
    """Check what `plan` needs in this workspace; `files` and `directory` as for `Workspace.run`."""
    looker = _Looker(
        workspace, plan, Catalogues(workspace.probes, workspace.lab, text=files, directory=directory or Path())
    )
    yield looker.bus()
    yield looker.queue()
    yield looker.clients()
    yield looker.clocks()
    yield looker.load()
    yield await looker.servers()
    if any(test.faults for test in plan.tests):
        yield looker.faults()
    before = looker.received()
    yield await looker.files()
    yield await looker.answers()
    yield looker.sizes()
    yield await looker.datagrams(before)
    yield looker.longest_open()
    yield looker.room()


class _Looker:
    """What was found so far."""

    def __init__(self, workspace: Workspace, plan: Plan, catalogues: Catalogues) -> None:
        self._workspace = workspace
        self._plan = plan
        self._catalogues = catalogues
        self._clients: list[Client] = []
        self._servers: dict[str, Server] = {}
        self._files: dict[str, File] = {}
        self._tests: list[tuple[Test, list[Server], tuple[File, ...]]] = []
        self._answers: dict[str, list[Probed]] = {}

    # ---- bus

    def bus(self) -> Check:
        title = "Records can be taken from the bus"
        state = self._workspace.records_state
        if not self._workspace.bus.there:
            return Check(
                "bus", title, "failed", "No bus is named.", "Name one in Settings > Bus, or with --bus, or use a lab."
            )
        if not state.connected:
            return Check("bus", title, "failed", state.trouble or "No answer yet.", "Check the broker and its address.")
        return Check("bus", title, "ok", f"The queue {self._workspace.bus.queue} is bound and consumed.")

    def queue(self) -> Check:
        title = "Queues are drained"
        depths = [depth for depth in self._workspace.records_state.depths if depth is not None]
        if not depths:
            return Check("queue", title, "skipped", "Nothing is known about the queues.")
        if any(depths):
            text = f"{sum(depths):,} messages wait in the queues."
            return Check(
                "queue", title, "warning", text, "Wait until they are consumed; otherwise a run settles later."
            )
        return Check("queue", title, "ok", f"{len(depths)} queue{'s' if len(depths) > 1 else ''}, all empty.")

    # ---- clients

    def clients(self) -> Check:
        title = "Clients are connected"
        present = present_clients(self._workspace.hub)
        found: dict[str, Client] = {}
        for test in self._plan.tests:
            chosen = choose_clients(test.who.clients, present)
            if isinstance(chosen, str):
                return Check("clients", title, "failed", f"{chosen.capitalize()}.", "Start agents, or invite some.")
            found.update((client.id, client) for client in chosen)
        self._clients = list(found.values())
        without = [view.name for view in self._views() if not view.xrootd]
        if without:
            text = f"{len(without)} of {len(found)} clients have no XRootD client library."
            remedy = "Install it there: pip install 'xrootd-tally[xrootd]'."
            return Check("clients", title, "failed", text, remedy, tuple(without))
        return Check("clients", title, "ok", f"{len(found)} clients: {_some(c.name for c in self._clients)}.")

    def clocks(self) -> Check:
        title = f"Clocks agree within {CLOCK_LIMIT:g} s"
        known = [(view.name, view.clock_offset) for view in self._views() if view.clock_offset is not None]
        if not known:
            return Check("clocks", title, "skipped", "No clock is known yet.")
        off = [f"{name}: {offset:+.1f} s" for name, offset in known if abs(offset) > CLOCK_LIMIT]
        if off:
            text = f"{len(off)} of {len(known)} clients differ from the hub."
            remedy = "Set their clocks (NTP). Verdicts do not depend on them, but displayed times do."
            return Check("clocks", title, "warning", text, remedy, tuple(off))
        worst = max(abs(offset) for _, offset in known)
        return Check("clocks", title, "ok", f"At most {1000 * worst:.0f} ms apart.")

    def load(self) -> Check:
        title = "Clients have spare processors"
        views = self._views()
        if not views:
            return Check("load", title, "skipped", "There are no clients.")
        busy = [f"{view.name}: {view.cpu:.0f} % of a core" for view in views if view.cpu > BUSY_CPU]
        if busy:
            text = f"{len(busy)} of {len(views)} clients are busy before the run has started."
            return Check("load", title, "warning", text, "A busy client measures its own limit.", tuple(busy))
        return Check("load", title, "ok", f"{sum(view.cpus for view in views)} processors in {len(views)} clients.")

    def _views(self) -> list[AgentView]:
        views = (self._workspace.hub.roster.find(client.id) for client in self._clients)
        return [view for view in views if view is not None]

    # ---- servers and files

    async def servers(self) -> Check:
        title = "Servers are known"
        try:
            for test in self._plan.tests:
                chosen = choose_servers(test.servers, self._workspace.servers())
                self._tests.append((test, chosen, ()))
                self._servers.update((server.url, server) for server in chosen)
        except SelectionError as error:
            return Check("servers", title, "failed", str(error), "Start them, or change the plan.")
        if doubled := await reached_twice(self._servers.values()):
            return Check("servers", title, "warning", doubled[0], "Name each server once.", tuple(doubled))
        return Check(
            "servers", title, "ok", f"{len(self._servers)} servers: {_some(s.name for s in self._servers.values())}."
        )

    def faults(self) -> Check:
        title = "The plan's faults can be injected"
        faults = [fault for test in self._plan.tests for fault in test.faults]
        reasons = cannot(faults, self._workspace.lab, local_clients=self._workspace.local_clients is not None)
        if reasons:
            remedy = "Fix that, or remove the fault from the plan."
            return Check("faults", title, "failed", reasons[0], remedy, tuple(reasons[1:]))
        return Check("faults", title, "ok", f"{_some(dict.fromkeys(fault.do for fault in faults))}.")

    async def files(self) -> Check:
        title = "Test files are known"
        if not self._servers:
            return Check("files", title, "skipped", "The servers are not known.")
        found = []
        try:
            for test, servers, _ in self._tests:
                client = self._clients[0] if self._clients else None
                found.append((test, servers, await self._catalogues.find(test, servers[0], client)))
        except (RunRefusedError, CatalogueError) as error:
            return Check("files", title, "failed", str(error), "Give [test.files] a list or a directory.")
        self._tests = found
        self._files = {file.path: file for _, _, files in found for file in files}
        if not self._files:
            return Check("files", title, "ok", "The plan only writes; it needs no files.")
        volume = about_size(sum(file.size for file in self._files.values()))
        return Check("files", title, "ok", f"{len(self._files):,} files, {volume}.")

    async def answers(self) -> Check:
        title = "Servers answer"
        if not self._servers or not self._clients:
            return Check("answers", title, "skipped", "Servers and clients are needed for that.")
        few = asyncio.Semaphore(PROBES_AT_ONCE)
        paths = [file.path for file in _spread(list(self._files.values()), FILES_PROBED)]
        failed: list[str] = []

        async def look(place: int, server: Server) -> None:
            client = self._clients[place % len(self._clients)]
            async with few:
                try:
                    question = Probe(id=0, server=server.url, paths=paths, timeout=10.0)
                    parts = [part async for part in self._workspace.probes.ask(client, question)]
                except ProbeError as error:
                    failed.append(f"{server.name}: {error}")
                    return
            self._answers[server.url] = parts
            silent = next((part for part in parts if not part.answering or part.error), None)
            if silent is not None:
                failed.append(f"{server.name} ({server.url}): {silent.error or 'no answer'}")

        async with asyncio.TaskGroup() as tasks:
            for place, server in enumerate(self._servers.values()):
                tasks.create_task(look(place, server), name=f"look at {server.name}")
        if failed:
            text = f"{len(failed)} of {len(self._servers)} servers do not answer."
            return Check(
                "answers",
                title,
                "failed",
                text,
                "Check that they run and that clients may read.",
                tuple(sorted(failed)),
            )
        versions = Counter(parts[0].xrootd for parts in self._answers.values() if parts and parts[0].xrootd)
        kinds = ", ".join(sorted(versions)) or "version unknown"
        return Check("answers", title, "ok", f"{len(self._answers)} servers, XRootD {kinds}.")

    def sizes(self) -> Check:
        title = "Files are there, with the stated size"
        if not self._answers or not self._files:
            return Check("sizes", title, "skipped", "There is nothing to compare.")
        wrong: list[str] = []
        seen = 0
        for url, parts in self._answers.items():
            name = self._servers[url].name
            for part in parts:
                for file in part.files:
                    seen += 1
                    stated = self._files[file.path].size if file.path in self._files else None
                    if file.size is None:
                        wrong.append(f"{name}: {file.path} is not there ({file.error or 'no reason given'})")
                    elif stated is not None and file.size != stated:
                        wrong.append(f"{name}: {file.path} has {file.size:,} bytes, not {stated:,}")
        if wrong:
            text = f"{len(wrong):,} of {seen:,} checked files differ."
            return Check("sizes", title, "failed", text, "Correct the list, or the files.", tuple(sorted(wrong)[:100]))
        return Check("sizes", title, "ok", f"{seen:,} files checked on {len(self._answers)} servers; all as stated.")

    # ---- monitoring

    def received(self) -> dict[str, int]:
        """Datagrams by sender, as counted by the shovelers until now."""
        counts: Counter[str] = Counter()
        for member in self._workspace.members():
            if isinstance(member.status, ShovelerStatus):
                for sender, figures in member.status.senders.items():
                    counts[sender] += figures.received
        return counts

    async def datagrams(self, before: dict[str, int]) -> Check:
        """Each server was just contacted: its datagrams should reach a shoveler, under one sender for each server."""
        title = "Monitoring datagrams arrive from each server"
        if not self._answers:
            return Check("datagrams", title, "skipped", "No server has answered.")
        if not any(isinstance(member.status, ShovelerStatus) for member in self._workspace.members()):
            text = "No Tally shoveler has reported, so the datagrams cannot be seen from here."
            return Check("datagrams", title, "skipped", text, "With other shovelers, check the first records instead.")
        wanted = Counter([address for url in self._answers if (address := await address_of(url))])
        deadline = time.monotonic() + DATAGRAM_SECONDS
        while True:
            now = self.received()
            heard = Counter(
                sender.rpartition(":")[0].strip("[]") for sender in now if now[sender] > before.get(sender, 0)
            )
            lacking = {address: count - heard[address] for address, count in wanted.items() if heard[address] < count}
            if not lacking or time.monotonic() >= deadline:
                break
            await asyncio.sleep(0.5)
        if lacking:
            servers = f"{sum(lacking.values())} of {wanted.total()} servers"
            text = f"No datagrams of {servers} arrived within {DATAGRAM_SECONDS:g} s."
            remedy = "Check xrootd.monitor on these hosts (tally-agent check-config), and that UDP gets through."
            details = tuple(f"{address}: {count} of {wanted[address]}" for address, count in sorted(lacking.items()))
            return Check("datagrams", title, "warning", text, remedy, details)
        return Check("datagrams", title, "ok", f"Datagrams of {wanted.total()} servers reached a shoveler.")

    def longest_open(self) -> Check:
        title = "Collectors remember the longest open file"
        longest = max(
            (request_seconds(test.workload, max((f.size for f in files), default=0)) for test, _, files in self._tests),
            default=0.0,
        )
        text = f"The longest open lasts about {about_duration(longest)}."
        if longest > 24 * 3600:
            remedy = "Start tally-collector with a longer --ttl."
            return Check("ttl", title, "warning", f"{text} A collector's default is 24 h.", remedy)
        return Check("ttl", title, "ok", f"{text} A collector's default is 24 h.")

    def room(self) -> Check:
        title = "The database has room"
        database = self._workspace.store.database
        requests = 0
        for test, servers, files in self._tests:
            requests += preview_test(test, servers=len(servers), files=files).files * test.repeats
        if not database.is_sqlite:
            return Check("room", title, "skipped", "The database is on a server; its disk cannot be seen from here.")
        free = shutil.disk_usage(Path(str(database.url.database)).parent).free
        needed = requests * ROOM_PER_REQUEST
        text = f"{requests:,} requests take about {about_size(needed)}; {about_size(free)} are free."
        if free < 2 * needed:
            return Check("room", title, "failed", text, "Free some space, or put the workspace on another disk.")
        return Check("room", title, "ok", text)


def _spread(items: Sequence[File], most: int) -> list[File]:
    """At most `most` of the items, evenly spread."""
    if len(items) <= most:
        return list(items)
    return [items[place * len(items) // most] for place in range(most)]


def _some(names: Iterable[str], most: int = 8) -> str:
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
