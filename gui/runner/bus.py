"""A workspace's side of the bus: who takes its records and the status messages, and whether they are connected.

Without a bus nothing is consumed, `ready` refuses, and the questions have their answer at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from agent.messages import LabState
from gui.runner.ask import Asker
from gui.runner.consume import BusThread, ConsumerState, Drain, Watched
from gui.runner.host import Blocking, Problems
from gui.runner.intake import RecordIntake, StatusIntake, on_loop
from gui.runner.machine import bus_password
from gui.runner.options import WorkspaceOptions
from gui.runner.queues import STATUS_KEPT, STATUS_MAX, queue_of, remember_queue
from gui.runner.refusal import RunRefusedError
from gui.store import Store
from shoveler.bus import BusAddress, parse_bus_address

log = logging.getLogger("tally.runner")

READY_SECONDS = 30.0
NO_BUS = "There is no bus to take records from: name one in Settings > Bus, or with --bus, or use a lab."


class WorkspaceBus:
    """See the module. Methods belong to the event loop."""

    def __init__(
        self, options: WorkspaceOptions, lab: LabState | None, store: Store, blocking: Blocking, problem: Problems
    ) -> None:
        self._options = options
        self._lab = lab
        self._store = store
        self._blocking = blocking
        self._problem = problem
        self.queue = ""
        """The queue that records are taken from; empty without a bus."""
        self.address: BusAddress | None = None
        """The bus, with its password; None without one."""
        self.records_state = ConsumerState()
        self.status_state = ConsumerState()
        self._connected = asyncio.Event()
        self._spoke = asyncio.Event()
        self._records: BusThread | None = None
        self._statuses: BusThread | None = None
        self._asker: Asker | None = None

    async def start(self, records: RecordIntake, statuses: StatusIntake) -> None:
        """Start connecting. Raises BusError for an invalid address, and SecretsError."""
        url = self._options.bus_url(self._lab)
        if not url:
            return
        address = self.address = await self._with_password(parse_bus_address(url))
        places = self._lab or self._options
        exchange = address.exchange or places.records_exchange
        queue = address.queue or await self._blocking(queue_of, self._store, self._options.label)
        if not self._options.forget_queue and not address.queue:
            await self._blocking(remember_queue, self._store, queue, exchange, url, places.status_exchange)
        self.queue = queue
        self._records = self._take_records(address, exchange, queue, records)
        self._statuses = self._take_statuses(address, places.status_exchange, queue, statuses)
        self._records.start()
        self._statuses.start()
        self._asker = Asker(
            address, exchange=places.status_exchange, writer=f"{queue}.ask", options=self._options.bus_options
        )

    async def move(
        self, options: WorkspaceOptions, lab: LabState | None, records: RecordIntake, statuses: StatusIntake
    ) -> None:
        """Take records from the bus that these options name from now on. What was in the old queue stays there.

        Raises BusError for an invalid address, and SecretsError; records are then taken from where they were."""
        url = options.bus_url(lab)
        if url:
            await self._with_password(parse_bus_address(url), options)
        await self.stop()
        self._options, self._lab = options, lab
        self._records = self._statuses = self._asker = self.address = None
        self.queue = ""
        self._records_changed(ConsumerState())
        self._status_changed(ConsumerState())
        await self.start(records, statuses)

    async def _with_password(self, address: BusAddress, options: WorkspaceOptions | None = None) -> BusAddress:
        secrets = (options or self._options).secrets
        if address.kind != "amqp" or address.password or secrets is None:
            return address
        return replace(address, password=await self._blocking(bus_password, secrets, address))

    def _take_records(self, address: BusAddress, exchange: str, queue: str, handle: RecordIntake) -> BusThread:
        places = self._lab or self._options
        watch = [Watched(places.packets_queue, places.packets_exchange)] if places.packets_queue else []
        return BusThread(
            f"records of {self._options.label}",
            address,
            exchange=exchange,
            queue=queue,
            handle=handle,
            changed=self._on_loop(self._records_changed),
            options=self._options.bus_options,
            keep_queue=self._options.queue_expires or None,
            max_bytes=self._options.queue_max or None,
            watch=watch,
            forget_queue=self._options.forget_queue,
        )

    def _take_statuses(self, address: BusAddress, exchange: str, queue: str, handle: StatusIntake) -> BusThread:
        return BusThread(
            f"status of {self._options.label}",
            address,
            exchange=exchange,
            queue=f"{queue}.status",
            handle=handle,
            changed=self._on_loop(self._status_changed),
            options=self._options.bus_options,
            forget_queue=True,
            keep_queue=STATUS_KEPT,  # a program that was killed leaves it behind
            max_bytes=STATUS_MAX,
        )

    async def stop(self) -> None:
        """End the consumers after the messages being handled."""
        threads = [thread for thread in (self._records, self._statuses) if thread is not None]
        for thread, ended in zip(
            threads, await asyncio.gather(*(asyncio.to_thread(thread.stop) for thread in threads)), strict=True
        ):
            if not ended:
                log.error("! %s did not end in time", thread.name)
        if self._asker is not None:
            await asyncio.to_thread(self._asker.close)

    def leave_queue(self) -> None:
        """Another program goes on with our queue of records: it is not removed when we stop."""
        if self._records is not None:
            self._records.leave_queue()

    @property
    def there(self) -> bool:
        """Whether there is a bus to take records from."""
        return self._records is not None

    async def ready(self) -> None:
        """Wait until the queue is bound, as it must be before the first request. Raises RunRefusedError."""
        if self._records is None:
            raise RunRefusedError(NO_BUS)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._connected.wait()
        except TimeoutError:
            why = self.records_state.trouble or f"no answer within {READY_SECONDS:g} s."
            raise RunRefusedError(f"The records cannot be taken from the bus: {why}") from None

    def drain(self) -> Drain | None:
        """Find out when all records that are in our queue now are loaded."""
        return self._records.drain() if self._records is not None else None

    async def ask_for_status(self, seconds: float, answered: Callable[[float], bool]) -> None:
        """Ask all daemons for their status, and wait at most `seconds` until they have `answered` since then."""
        asked = time.time()
        if self._asker is None or not await self._blocking(self._asker.ask):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not answered(asked):
                    self._spoke.clear()
                    await self._spoke.wait()

    def status_came(self) -> None:
        """A status message has arrived."""
        self._spoke.set()

    def _on_loop(self, function: Callable[[ConsumerState], None]) -> Callable[[ConsumerState], None]:
        return on_loop(asyncio.get_running_loop(), function)

    def _records_changed(self, state: ConsumerState) -> None:
        self.records_state = state
        if state.connected:
            self._connected.set()
        else:
            self._connected.clear()
        self._problem("error" if state.refused else "warning", "records", state.trouble)
        other = state.queue == "other"
        self._problem(
            "info",
            "limits of the queue",
            f"The queue {self.queue} was made with other limits than those of now." if other else "",
            "They apply from the first start at which it is empty; or delete it: tally queue delete.",
        )

    def _status_changed(self, state: ConsumerState) -> None:
        self.status_state = state
        self._problem("warning", "status messages", state.trouble)
