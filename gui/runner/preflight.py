"""Checks before a big run that everything it needs is in place. A checklist; each item says what to do.

    preflight = Preflight(workspace, plan)
    async for found in preflight.look(): show(found)           # an Item as it begins, a Check when it is done
    async for found in preflight.look(["clocks"]): show(found) # one line again, and what it needs

An item that depends on a failed one is *skipped*. Nothing is changed and no run is started; each server sees one short
client session, which makes it send the datagrams that are checked for.
"""

from __future__ import annotations

import asyncio
import inspect
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from agent.messages import HTTP, Auth, Probe, Probed
from gui.campaign.catalogue import CatalogueError
from gui.campaign.doors import Door, doors_of, may_use_http, not_over_http
from gui.campaign.plan import File, Plan, Test, Who
from gui.campaign.preview import Preview, preview_test, slowest
from gui.campaign.selection import (
    Client,
    SelectionError,
    Server,
    choose_clients,
    choose_servers,
    name_order,
    unknown_clients,
)
from gui.campaign.unverified import unverified
from gui.hub import AgentView
from gui.runner import lasting
from gui.runner.checklist import Check, Fix, Item, State, in_order, items_of
from gui.runner.credentials import Credentials, ended, token_facts
from gui.runner.identity import Identity, identify
from gui.runner.lab import LabMissingError, cannot
from gui.runner.probes import ProbeError
from gui.runner.refusal import RunRefusedError
from gui.runner.resolve import Catalogues, address_of, present_clients, reached_twice
from gui.runner.workspace import Workspace
from shoveler.service import CollectorStatus, ShovelerStatus
from shoveler.values.quantities import about_duration, about_size, format_duration

__all__ = ["Check", "Preflight", "State", "preflight"]

CLOCK_LIMIT = 1.0
FILES_PROBED = 200
"""Number of files whose presence and size are checked on each server, spread over the catalogue."""
PROBES_AT_ONCE = 16
DATAGRAM_SECONDS = 15.0
STATUS_SECONDS = 2.0
ROOM_PER_REQUEST = 2000
"""Bytes in the database for a request with its record, rounded up."""
SPOOL_PER_REQUEST = 1000
"""Bytes in the spool for the datagrams of a request, rounded up."""
OUTAGE = 60.0
"""Seconds without a broker that a spool should survive, if the plan has no longer one."""
DEFAULT_TTL = 24 * 3600.0
BUSY_CPU = 80.0
AGAIN = Fix("again", "Measure again")
ADD_AGENT = Fix("go", "Add an agent", "fleet", {"invite": True})
BUS_SETTINGS = Fix("go", "Open Settings", "settings", {"section": "bus"})


async def preflight(
    workspace: Workspace, plan: Plan, *, files: str | None = None, directory: Path | None = None
) -> AsyncIterator[Check]:
    """Check what `plan` needs in this workspace; `files` and `directory` as for `Workspace.run`."""
    async for found in Preflight(workspace, plan, files=files, directory=directory).look():
        if isinstance(found, Check):
            yield found


class Preflight:
    """The checklist of one plan in one workspace; what was found so far. Each line has a method, `_look_at_NAME`."""

    def __init__(
        self, workspace: Workspace, plan: Plan, *, files: str | None = None, directory: Path | None = None
    ) -> None:
        self.items = items_of(plan, lab=workspace.lab is not None)
        self._workspace = workspace
        self._plan = plan
        self._files_text, self._directory = files, directory or Path()
        self._clients: list[Client] = []
        self._servers: dict[str, Server] = {}
        self._files: dict[str, File] = {}
        self._tests: list[tuple[Test, list[Server], tuple[File, ...]]] = []
        self._answers: dict[tuple[str, Door], list[Probed]] = {}
        """What each server said at each of its doors."""
        self._credentials = Credentials(workspace.lab, self._directory)
        self._before: dict[str, int] = {}
        self._asked = False

    async def look(self, names: Sequence[str] | None = None) -> AsyncIterator[Item | Check]:
        """Look at all lines, or at these and what they need: each as it begins, and when it is done."""
        for item in self.items if names is None else in_order(names, self.items):
            yield item
            found = getattr(self, f"_look_at_{item.name}")(item)
            yield await found if inspect.isawaitable(found) else found

    # ---- bus

    def _look_at_bus(self, item: Item) -> Check:
        state = self._workspace.records_state
        if not self._workspace.bus.there:
            remedy = "Name one in Settings (or with --bus), or use a lab."
            return _check(item, "failed", "No bus is given.", remedy, fixes=(BUS_SETTINGS,))
        if not state.connected:
            text, remedy = state.trouble or "No answer yet.", "Check the broker and its address."
            return _check(item, "failed", text, remedy, fixes=(AGAIN, BUS_SETTINGS))
        text = f"The queue {self._workspace.bus.queue} is bound and consumed."
        address = self._workspace.bus.address
        if address is None or address.kind != "amqp" or self._workspace.lab is not None:
            return _check(item, "ok", text, figure="bound")
        return self._what_the_queue_costs(item, text)

    def _what_the_queue_costs(self, item: Item, text: str) -> Check:
        """On a broker that others use: it takes every record, and goes on to do so while nobody reads it."""
        options, rate = self._workspace.options, self._workspace.loaded_rate()
        text += " It takes every record that is published there"
        text += f", {rate:,.1f} a second now." if rate is not None else "."
        expires, most = about_duration(options.queue_expires), about_size(options.queue_max)
        limits = [
            f"is removed after {expires}" if options.queue_expires else "is never removed",
            f"keeps {most} at most" if options.queue_max else "grows until the broker's disk is full",
        ]
        text += f" While nobody takes from it, it {' and '.join(limits)}."
        fixes = (BUS_SETTINGS,)
        if not options.queue_expires or not options.queue_max:
            remedy = "A full disk stops all publishers of the broker: set bus.queue_expires and bus.queue_max."
            return _check(item, "warning", text, remedy, figure="bound", fixes=fixes)
        if self._workspace.records_state.queue == "other":
            text += " The queue was made with other limits, which still apply."
            remedy = "It is made anew at a start at which it is empty; or delete it: tally queue delete."
            return _check(item, "warning", text, remedy, figure="bound", fixes=fixes)
        return _check(item, "ok", text, figure="bound")

    def _look_at_queue(self, item: Item) -> Check:
        depths = [depth for depth in self._workspace.records_state.depths if depth is not None]
        if not depths:
            return _check(item, "skipped", "The broker has not said how many messages wait.")
        if any(depths):
            text, remedy = f"{sum(depths):,} messages wait in the queues.", "Wait until they are consumed."
            fixes = (AGAIN, Fix("go", "Open Pipeline", "pipeline"))
            return _check(item, "warning", text, remedy, figure=f"{sum(depths):,} waiting", fixes=fixes)
        return _check(item, "ok", f"{_plural(len(depths), 'queue')}, all empty.", figure="0 waiting")

    # ---- clients

    def _look_at_clients(self, item: Item) -> Check:
        present = present_clients(self._workspace.hub)
        self._clients = []
        found: dict[str, Client] = {}
        known = [view.name for view in self._workspace.hub.roster.agents if view.role == "client"]
        ready = [client for client in present if client.ready]
        for test in self._plan.tests:
            chosen = choose_clients(test.who.clients, present)
            if isinstance(chosen, str):
                unknown = unknown_clients(test.who.clients, known)
                text = unknown or f"{chosen[:1].upper()}{chosen[1:]}."
                figure = f"{len(ready)} up"
                more = (
                    self._more_clients() if not ready else ((self._use_ready(ready),), "Start agents, or invite some.")
                )
                fixes, remedy = more
                return _check(item, "failed", text, remedy, figure=figure, fixes=fixes)
            found.update((client.id, client) for client in chosen)
        self._clients = list(found.values())
        for extra, library, without in self._lacking():
            figure = f"{len(found) - len(without)} of {len(found)}"
            text = f"{len(without)} of {len(found)} clients have no {library}."
            command = f"pip install 'xrootd-tally[{extra}]'"
            copy = Fix("copy", "Copy the command", command)
            remedy = f"Install it there: {command}."
            return _check(item, "failed", text, remedy, without, figure=figure, fixes=(copy,))
        figure = f"{len(found)} of {len(found)}"
        text = f"{_plural(len(found), 'client')}: {_some(c.name for c in self._clients)}."
        return _check(item, "ok", text, figure=figure)

    def _more_clients(self) -> tuple[tuple[Fix, ...], str]:
        """What to do where no client is up: those of a lab are started by who opens it, and not by hand."""
        if self._workspace.lab is None:
            return (ADD_AGENT,), "Start agents, or invite some."
        if self._workspace.local_clients is not None:
            return (AGAIN,), "The clients of the lab are being started on this machine; measure again."
        return (AGAIN,), "Start clients for the lab on this machine: --local-clients 2."

    def _lacking(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """For each library that the plan needs and clients lack: the extra that has it, its name, and the clients."""
        tests, views = self._plan.tests, self._views()
        over_http = [may_use_http(test) for test in tests]
        only_http = all(
            http and all(one.protocol in HTTP for one in test.workloads)
            for http, test in zip(over_http, tests, strict=True)
        )
        if not only_http and (without := tuple(view.name for view in views if not view.xrootd)):
            yield "xrootd", "XRootD client library", without
        if any(over_http) and (without := tuple(view.name for view in views if not view.curl)):
            yield "http", "libcurl", without

    def _use_ready(self, ready: Sequence[Client]) -> Fix:
        """Run with the clients that are up, this once."""
        names = tuple(sorted((client.name for client in ready), key=name_order))
        tests = tuple(replace(test, who=Who(names, test.who.slots)) for test in self._plan.tests)
        words = f"Use the {len(names)} that are up" if len(names) > 1 else f"Use {names[0]}"
        return Fix("plan", words, plan=replace(self._plan, tests=tests))

    async def _look_at_clocks(self, item: Item) -> Check:
        await self._ask_for_time()
        known = [(view.name, view.clock_offset) for view in self._views() if view.clock_offset is not None]
        if not known:
            return _check(item, "skipped", "No clock is known yet.", fixes=(AGAIN,))
        worst = max(abs(offset) for _, offset in known)
        off = [f"{name}: {offset:+.1f} s" for name, offset in known if abs(offset) > CLOCK_LIMIT]
        if off:
            text = f"{len(off)} of {len(known)} clients differ from the hub."
            remedy = "Set their clocks (NTP). Verdicts do not depend on them, but displayed times do."
            return _check(item, "warning", text, remedy, tuple(off), figure=f"{worst:.1f} s", fixes=(AGAIN,))
        text = f"At most {1000 * worst:.0f} ms apart; the limit is {CLOCK_LIMIT:g} s."
        return _check(item, "ok", text, figure=f"{1000 * worst:.0f} ms")

    async def _ask_for_time(self) -> None:
        """Have each client send a heartbeat now, and wait a moment for it."""
        since = time.time()
        asked = {client.id for client in self._clients if self._workspace.hub.ask(client.id, "time")}
        deadline = time.monotonic() + STATUS_SECONDS
        while time.monotonic() < deadline:
            if all(view.last_seen >= since for view in self._views() if view.id in asked):
                return
            await asyncio.sleep(0.05)

    def _look_at_load(self, item: Item) -> Check:
        views = self._views()
        if not views:
            return _check(item, "skipped", "There are no clients.")
        busiest = max(view.cpu for view in views)
        busy = [f"{view.name}: {view.cpu:.0f} % of a core" for view in views if view.cpu > BUSY_CPU]
        if busy:
            text = f"{len(busy)} of {len(views)} clients are busy before the run has started."
            remedy = "A busy client measures its own limit."
            return _check(item, "warning", text, remedy, tuple(busy), figure=f"{busiest:.0f} %", fixes=(AGAIN,))
        text = f"{_plural(sum(view.cpus for view in views), 'processor')} in {_plural(len(views), 'client')}."
        return _check(item, "ok", text, figure=f"{busiest:.0f} %")

    def _views(self) -> list[AgentView]:
        views = (self._workspace.hub.roster.find(client.id) for client in self._clients)
        return [view for view in views if view is not None]

    # ---- servers and files

    async def _look_at_servers(self, item: Item) -> Check:
        self._tests, self._servers = [], {}
        try:
            for test in self._plan.tests:
                chosen = choose_servers(test.servers, self._workspace.servers())
                self._tests.append((test, chosen, ()))
                self._servers.update((server.url, server) for server in chosen)
        except SelectionError as error:
            fixes = (Fix("go", "Open Plans", "plans"), Fix("go", "Open Fleet", "fleet"))
            return _check(item, "failed", str(error), "Start them, or change the plan.", fixes=fixes)
        figure = f"{len(self._servers):,}"
        if doubled := await reached_twice(self._servers.values()):
            text, remedy = doubled[0], "Name each server once."
            return _check(item, "warning", text, remedy, tuple(doubled[1:]), figure=figure)
        text = f"{_plural(len(self._servers), 'server')}: {_some(s.name for s in self._servers.values())}."
        return _check(item, "ok", text, figure=figure)

    def _look_at_config(self, item: Item) -> Check:
        beside = {url: one for view in self._workspace.hub.roster.agents for url, one in view.reports.items()}
        seen = [(server, beside[url]) for url, server in self._servers.items() if url in beside]
        if not seen:
            if self._workspace.lab is not None:
                return _check(item, "skipped", "The lab has written the configuration of its servers itself.")
            text = "No agent is beside a server, so its configuration cannot be read from here."
            return _check(item, "skipped", text, fixes=(ADD_AGENT,))
        bad: list[str] = []
        wrong: dict[str, Server] = {}
        worst: State = "ok"
        line = ""
        for server, report in seen:
            for finding in report.findings:
                if finding.severity == "info":
                    continue
                bad.append(f"{server.name}: {finding.what}{f' ({finding.why})' if finding.why else ''}")
                wrong[server.url] = server
                if finding.severity == "error" or worst == "ok":
                    worst = "failed" if finding.severity == "error" else "warning"
                line = line or finding.fixed
        rest = len(self._servers) - len(seen)
        figure = f"{len(seen) - len(wrong)} of {len(seen)}"
        unseen = f"; {rest} without an agent {'was' if rest == 1 else 'were'} not looked at" if rest else ""
        if not bad:
            return _check(item, "ok", f"As it should be on {_plural(len(seen), 'server')}{unseen}.", figure=figure)
        fixes = [Fix("copy", "Copy fixed line", line)] if line else []
        fixes.append(Fix("go", "Show in Fleet", "fleet", {"server": next(iter(wrong))}))
        fixes += self._leave_out(list(wrong.values())) if worst == "failed" else []
        return _check(
            item,
            worst,
            f"{bad[0]}{unseen}.",
            "Change the line and restart the server.",
            tuple(bad[1:]),
            figure=figure,
            fixes=tuple(fixes),
            line=line,
        )

    def _leave_out(self, bad: Sequence[Server]) -> list[Fix]:
        """Run without these servers, this once; nothing when none would be left."""
        out = {server.url for server in bad}
        known = {server.name for server in self._workspace.servers()}
        tests = []
        for test, chosen, _ in self._tests:
            stay = [server for server in chosen if server.url not in out]
            left = tuple(server.name if server.name in known else server.url for server in stay)
            if not left:
                return []
            tests.append(replace(test, servers=left))
        if len(tests) < len(self._plan.tests):
            return []
        who = bad[0].name if len(bad) == 1 else f"{len(bad)} servers"
        return [Fix("plan", f"Leave {who} out", plan=replace(self._plan, tests=tuple(tests)))]

    async def _look_at_lab(self, item: Item) -> Check:
        lab = self._workspace.lab
        assert lab is not None  # else there is no such line
        try:
            faults = await lasting.lasting_faults(self._workspace)
        except LabMissingError as error:
            return _check(item, "failed", str(error), "Start it again: tally-agent lab up.", fixes=(AGAIN,))
        if not faults:
            return _check(item, "ok", "Nothing that was injected goes on.", figure="0 on")
        ends = list(dict.fromkeys(fault.do for fault in faults if lasting.can_be_ended(fault)))
        fixes = (*(Fix("end", f"End {do}", do) for do in ends), AGAIN)
        told = tuple(fault.text for fault in faults if fault.text)
        figure = f"{len(faults)} on"
        text, what_to_do = lasting.sentence(faults), lasting.remedy(lab, faults)
        return _check(item, "warning", text, what_to_do, told, figure=figure, fixes=fixes)

    def _look_at_faults(self, item: Item) -> Check:
        faults = [fault for test in self._plan.tests for fault in test.faults]
        reasons = cannot(faults, self._workspace.lab, local_clients=self._workspace.local_clients is not None)
        if reasons:
            remedy = "Fix that, or remove the fault from the plan."
            without = replace(self._plan, tests=tuple(replace(test, faults=()) for test in self._plan.tests))
            fixes = (Fix("plan", "Run without faults", plan=without), Fix("go", "Open Plans", "plans"))
            return _check(item, "failed", reasons[0], remedy, tuple(reasons[1:]), fixes=fixes)
        kinds = _some(dict.fromkeys(fault.do for fault in faults))
        return _check(item, "ok", f"{kinds}.", figure=f"{len(faults)}")

    async def _look_at_files(self, item: Item) -> Check:
        self._files = {}
        if not self._servers:
            return _check(item, "skipped", "The servers are not known.")
        lists = Catalogues(
            self._workspace.probes,
            self._workspace.lab,
            self._credentials,
            text=self._files_text,
            directory=self._directory,
        )
        found = []
        try:
            for test, servers, _ in self._tests:
                client = self._clients[0] if self._clients else None
                found.append((test, servers, await lists.find(test, servers[0], client)))
        except (RunRefusedError, CatalogueError) as error:
            fixes = (Fix("go", "Open Plans", "plans"),)
            return _check(item, "failed", str(error), "Give [test.files] a list or a directory.", fixes=fixes)
        self._tests = found
        self._files = {file.path: file for _, _, files in found for file in files}
        if not self._files:
            return _check(item, "ok", "The plan only writes; it needs no files.", figure="0")
        volume = about_size(sum(file.size for file in self._files.values()))
        figure = f"{len(self._files):,}"
        remarks = lists.remarks + self._unverified()
        if remarks:
            return _check(item, "warning", remarks[0], "", tuple(remarks[1:]), figure=figure)
        return _check(item, "ok", f"{_plural(len(self._files), 'file')}, {volume}.", figure=figure)

    def _unverified(self) -> list[str]:
        """What the plan wants to have compared and nobody can."""
        said = [text for test, servers, files in self._tests for text in unverified(test, servers, files)]
        return list(dict.fromkeys(said))

    async def _look_at_answers(self, item: Item) -> Check:
        self._answers = {}
        self._before = self.received()
        if not self._servers or not self._clients:
            return _check(item, "skipped", "Servers and clients are needed for that.")
        few = asyncio.Semaphore(PROBES_AT_ONCE)
        paths = [file.path for file in _spread(list(self._files.values()), FILES_PROBED)]
        failed: dict[str, str] = {}
        took: dict[str, float] = {}
        try:
            auths = await self._auths()
        except RunRefusedError as error:
            return _check(item, "failed", str(error), "Take the lab down and up again, or correct [test.auth].")

        async def look(place: int, server: Server, door: Door) -> None:
            auth = auths[server.url]
            client = self._clients[place % len(self._clients)]
            where = _where(server, door)
            async with few:
                begun = time.monotonic()
                question = Probe(0, server.url, paths, timeout=10.0, protocol=door.protocol, port=door.port, auth=auth)
                try:
                    parts = [part async for part in self._workspace.probes.ask(client, question)]
                except ProbeError as error:
                    failed[server.url] = f"{where}: {error}"
                    return
            took[where] = time.monotonic() - begun
            self._answers[server.url, door] = parts
            silent = next((part for part in parts if not part.answering or part.error), None)
            if silent is not None:
                failed[server.url] = f"{where} ({server.url}): {silent.error or 'no answer'}"

        async with asyncio.TaskGroup() as tasks:
            for place, (server, door) in enumerate(self._doors()):
                tasks.create_task(look(place, server, door), name=f"look at {server.name}")
        figure = f"{len(self._servers) - len(failed)} of {len(self._servers)}"
        if failed:
            text = f"{len(failed)} of {len(self._servers)} servers do not answer."
            remedy = "Check that they run and that clients may read."
            fixes = (AGAIN, *self._leave_out([self._servers[url] for url in failed]))
            return _check(item, "failed", text, remedy, tuple(sorted(failed.values())), figure=figure, fixes=fixes)
        versions = Counter(parts[0].xrootd for parts in self._answers.values() if parts and parts[0].xrootd)
        kinds = ", ".join(sorted(versions)) or "version unknown"
        slowest = max(took, key=lambda name: took[name])
        text = f"{_plural(len(self._servers), 'server')}, XRootD {kinds}; slowest {slowest}, {_ms(took[slowest])}."
        return _check(item, "ok", text, figure=figure)

    async def _auths(self) -> dict[str, Auth]:
        """By server, with what the first test that asks it identifies itself. Raises RunRefusedError."""
        found: dict[str, Auth] = {}
        for test, servers, _ in self._tests:
            auth = await self._credentials.read(servers, test.auth)
            for server in servers:
                found.setdefault(server.url, auth)
        return found

    async def _look_at_auth(self, item: Item) -> Check:
        now, longest = time.time(), sum((preview.seconds for preview in self._previews()), 0.0)
        said, short, ends = [], [], []
        try:
            for test, servers, _ in self._tests:
                auth = await self._credentials.read(servers, test.auth)
                if not auth.token:
                    continue
                facts = token_facts(auth.token)
                if text := ended(facts, now):
                    return _check(item, "failed", text, "Renew it; the run takes the new one at once.", fixes=(AGAIN,))
                said.append(f"token of {facts.subject or 'nobody named'}, for {facts.audience or 'any server'}")
                if (left := facts.remaining(now)) is not None:
                    ends.append(left)
                    if left < longest:
                        short.append(
                            f"The token of {facts.subject or 'nobody named'} ends in {about_duration(left)}, "
                            f"the plan takes at least {about_duration(longest)}."
                        )
        except RunRefusedError as error:
            return _check(item, "failed", str(error), "Correct [test.auth] of the plan.", fixes=(AGAIN,))
        figure = about_duration(min(ends)) if ends else ""
        if short:
            remedy = "Renew the file meanwhile, or begin with a token that lasts."
            return _check(item, "warning", short[0], remedy, tuple(short[1:]), figure=figure)
        text = "; ".join(dict.fromkeys(said)) or "a certificate and its key"
        return _check(item, "ok", f"{text[:1].upper()}{text[1:]}.", figure=figure)

    def _doors(self) -> list[tuple[Server, Door]]:
        """Every server with every door at which the plan asks it."""
        found = (
            (self._servers[server.url], door)
            for test, servers, _ in self._tests
            for server in servers
            for door in doors_of(test, server.url)
        )
        return list({(server.url, door): (server, door) for server, door in found}.values())

    async def _look_at_identity(self, item: Item) -> Check:
        if not self._answers or not self._clients:
            return _check(item, "skipped", "No server has answered.")
        found: dict[str, Identity] = {}
        for test, servers, _ in self._tests:
            try:
                auth = await self._credentials.read(servers, test.auth)
            except RunRefusedError as error:
                return _check(item, "failed", str(error), "Take the lab down and up again, or correct [test.auth].")
            if text := not_over_http(test, servers):
                return _check(item, "failed", text, "Change the workload or the protocol in the plan.")
            for one in await identify(self._workspace.probes, self._clients, test, servers, auth):
                if one.problem or one.server.url not in found:
                    found[one.server.url] = one
        bad = [one for one in found.values() if one.problem]
        figure = f"{len(found) - len(bad)} of {len(found)}"
        if bad:
            fixes = (AGAIN, *self._leave_out([one.server for one in bad]))
            remedy = "Let clients write there, or leave these servers out."
            details = tuple(one.problem for one in bad[1:])
            return _check(item, "failed", bad[0].problem, remedy, details, figure=figure, fixes=fixes)
        own = sum(one.own for one in found.values())
        text = f"By the User-Agent at {_plural(len(found) - own, 'server')}"
        if own:
            before = "it is" if own == 1 else "they are"
            text += f"; at {_plural(own, 'server')} by files of the client's own, since {before} older than 5.6.3"
        return _check(item, "ok", f"{text}.", figure=figure)

    def _look_at_sizes(self, item: Item) -> Check:
        if not self._answers or not self._files:
            return _check(item, "skipped", "There is nothing to compare: no server answered, or no file is known.")
        wrong: list[str] = []
        seen = 0
        for (url, door), parts in self._answers.items():
            name = _where(self._servers[url], door)
            for part in parts:
                for file in part.files:
                    seen += 1
                    stated = self._files[file.path].size if file.path in self._files else None
                    if file.size is None:
                        wrong.append(f"{name}: {file.path} is not there ({file.error or 'no reason given'})")
                    elif stated is not None and file.size != stated:
                        wrong.append(f"{name}: {file.path} has {file.size:,} bytes, not {stated:,}")
        figure = f"{seen - len(wrong):,} of {seen:,}"
        if wrong:
            text, remedy = f"{len(wrong):,} of {seen:,} checked files differ.", "Correct the list, or the files."
            return _check(item, "failed", text, remedy, tuple(sorted(wrong)[:100]), figure=figure)
        if not seen:
            return _check(item, "skipped", "No server has said anything about a file.")
        figure = f"{seen:,}"
        text = f"{_plural(seen, 'file')} checked on {_plural(len(self._servers), 'server')}; all as stated."
        return _check(item, "ok", text, figure=figure)

    # ---- monitoring

    def received(self) -> dict[str, int]:
        """Datagrams by sender, as counted by the shovelers until now."""
        counts: Counter[str] = Counter()
        for member in self._workspace.members():
            if isinstance(member.status, ShovelerStatus):
                for sender, figures in member.status.senders.items():
                    counts[sender] += figures.received
        return counts

    async def _look_at_datagrams(self, item: Item) -> Check:
        """Each server was just contacted: its datagrams should reach a shoveler, under one sender for each server."""
        if not self._answers:
            return _check(item, "skipped", "No server has answered.")
        if not any(isinstance(member.status, ShovelerStatus) for member in self._workspace.members()):
            text = "No Tally shoveler has reported, so the datagrams cannot be seen from here."
            return _check(item, "skipped", text, "With other shovelers, check the first records instead.")
        urls = dict.fromkeys(url for url, _ in self._answers)
        wanted = Counter([address for url in urls if (address := await address_of(url))])
        begun = time.monotonic()
        while True:
            now = self.received()
            heard = Counter(
                sender.rpartition(":")[0].strip("[]") for sender in now if now[sender] > self._before.get(sender, 0)
            )
            lacking = {address: count - heard[address] for address, count in wanted.items() if heard[address] < count}
            if not lacking or time.monotonic() >= begun + DATAGRAM_SECONDS:
                break
            await asyncio.sleep(0.5)
        figure = f"{wanted.total() - sum(lacking.values())} of {wanted.total()}"
        if lacking:
            servers = f"{sum(lacking.values())} of {wanted.total()} servers"
            text = f"No datagrams of {servers} arrived within {DATAGRAM_SECONDS:g} s."
            remedy = "Check xrootd.monitor on these hosts (tally-agent check-config), and that UDP gets through."
            details = tuple(f"{address}: {count} of {wanted[address]}" for address, count in sorted(lacking.items()))
            fixes = (AGAIN, Fix("go", "Open Fleet", "fleet"))
            return _check(item, "warning", text, remedy, details, figure=figure, fixes=fixes)
        text = f"Datagrams of {_plural(wanted.total(), 'server')} reached a shoveler."
        return _check(item, "ok", text, figure=figure)

    async def _look_at_ttl(self, item: Item) -> Check:
        if not self._tests:
            return _check(item, "skipped", "How long files will be open is not known without servers.")
        longest = max(
            (slowest(test, max((f.size for f in files), default=0)) for test, _, files in self._tests),
            default=0.0,
        )
        await self._ask_for_status()
        known = [
            member.status.ttl
            for member in self._workspace.members()
            if isinstance(member.status, CollectorStatus) and member.status.ttl is not None
        ]
        text = f"The longest open lasts about {about_duration(longest)}."
        remedy = "Start tally-collector with a longer --ttl."
        if known:
            ttl = min(known)
            figure = format_duration(ttl)
            if longest > ttl:
                return _check(item, "warning", text, remedy, figure=figure)
            return _check(item, "ok", text, figure=figure)
        default = f"No collector has said how long it remembers; the default is {format_duration(DEFAULT_TTL)}."
        if longest > DEFAULT_TTL:
            return _check(item, "warning", f"{text} {default}", remedy)
        return _check(item, "skipped", f"{default} {text}", fixes=(AGAIN,))

    async def _look_at_spool(self, item: Item) -> Check:
        await self._ask_for_status()
        free = {
            f"{member.status.id} on {member.status.host}": member.status.spool_free
            for member in self._workspace.members()
            if isinstance(member.status, ShovelerStatus) and member.status.spool_free is not None
        }
        if not free:
            text = "No shoveler has said how much room its spool has."
            return _check(item, "skipped", text, fixes=(AGAIN,))
        if not self._tests:
            return _check(item, "skipped", "How many requests there will be is not known without servers.")
        outage = max([OUTAGE, *(f.lasts for t in self._plan.tests for f in t.faults if f.do.startswith("broker"))])
        rate = max((_rate(preview) for preview in self._previews()), default=0.0)
        needed = round(rate * outage * SPOOL_PER_REQUEST)
        least = min(free, key=lambda name: free[name])
        text = f"An outage of {format_duration(outage)} needs about {about_size(needed)}."
        figure = about_size(free[least])
        few = tuple(f"{name}: {about_size(size)}" for name, size in sorted(free.items()) if size < 2 * needed)
        if few:
            remedy = "Free some space there, or put the spool on another disk."
            return _check(item, "failed", text, remedy, few, figure=figure)
        return _check(item, "ok", f"{text} Least room: {least}.", figure=figure)

    async def _ask_for_status(self) -> None:
        """Have shovelers and collectors report once, if some have not yet."""
        if not self._asked:
            self._asked = True
            kinds = {type(member.status) for member in self._workspace.members()}
            if not {ShovelerStatus, CollectorStatus} <= kinds:
                await self._workspace.ask_for_status(STATUS_SECONDS, both=True)

    def _look_at_room(self, item: Item) -> Check:
        database = self._workspace.store.database
        requests = sum(preview.files * preview.repeats for preview in self._previews())
        if not self._tests:
            return _check(item, "skipped", "How many requests there will be is not known without servers.")
        if not database.is_sqlite:
            return _check(item, "skipped", "The database is on a server; its disk cannot be seen from here.")
        free = shutil.disk_usage(Path(str(database.url.database)).parent).free
        needed = requests * ROOM_PER_REQUEST
        text = f"{requests:,} requests take about {about_size(needed)}; {about_size(free)} are free."
        if free < 2 * needed:
            remedy = "Free some space, or put the workspace on another disk."
            return _check(item, "failed", text, remedy, figure=about_size(free), fixes=(AGAIN,))
        return _check(item, "ok", text, figure=about_size(free))

    def _previews(self) -> list[Preview]:
        clients = max(1, len(self._clients))
        return [
            preview_test(t, servers=len(servers), files=files, clients=clients) for t, servers, files in self._tests
        ]


def _check(
    item: Item,
    state: State,
    text: str,
    remedy: str = "",
    details: tuple[str, ...] = (),
    *,
    figure: str = "",
    fixes: tuple[Fix, ...] = (),
    line: str = "",
) -> Check:
    return Check(item.name, item.title, state, text, remedy, details, figure, fixes, line)


def _where(server: Server, door: Door) -> str:
    """A server's name, with the door if it is not that of its URL."""
    plain = Door(urlsplit(server.url).scheme)  # type: ignore[arg-type]
    return server.name if door == plain else f"{server.name} over {door}"


def _rate(preview: Preview) -> float:
    seconds = preview.seconds / preview.repeats
    return preview.files / seconds if seconds > 0 else float(preview.files)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 10 else about_duration(seconds)


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _spread(items: Sequence[File], most: int) -> list[File]:
    """At most `most` of the items, evenly spread."""
    if len(items) <= most:
        return list(items)
    return [items[place * len(items) // most] for place in range(most)]


def _some(names: Iterable[str], most: int = 8) -> str:
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
