"""``tally-agent lab up|down|status|fault|token``. The agent's command line uses `add_parser` and `run`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import enum
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO, TextIO

import msgspec

from agent.lab import control, health, issuer, progress, remains
from agent.lab.authority import write_private
from agent.lab.errors import LabError, WishError
from agent.lab.layout import Layout, command, default_directory
from agent.lab.options import LabOptions
from agent.lab.pids import alive, end
from agent.lab.state import read_state
from agent.messages import LabProcess, LabServer, LabState
from shoveler.service import redact
from shoveler.service.programs import program_command
from shoveler.values.quantities import parse_duration, parse_size

_STOP_SECONDS = 30.0
_FAULT_SECONDS = 90.0


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command ``lab``; pass the parsed arguments to `run`."""
    lab = subparsers.add_parser(
        "lab",
        help="a whole XRootD federation on this machine: servers, shovelers, bus, collector",
        description="Starts and stops a whole XRootD federation on this machine: real servers with test files, "
        "shovelers, a bus and a collector.",
    )
    commands = lab.add_subparsers(dest="lab_command", required=True, metavar="up|down|status|fault|token")

    up = commands.add_parser("up", help="start a lab and wait until everything answers")
    _directory(up)
    up.add_argument("--servers", type=int, default=4, metavar="M", help="number of XRootD servers (default 4)")
    up.add_argument(
        "--shovelers",
        type=int,
        default=1,
        metavar="K",
        help="number of shovelers, over which the servers are spread (1)",
    )
    up.add_argument(
        "--bus",
        default="",
        metavar="URL|DIR",
        help="amqp(s)://… of a broker, on which the lab uses only its own names, or a directory for the local "
        "bus (default: a private RabbitMQ if it is installed, else a local bus)",
    )
    up.add_argument(
        "--framing", choices=("single", "batch"), default="batch", help="framing of messages on the bus (batch)"
    )
    up.add_argument("--files", type=int, default=200, metavar="N", help="number of test files on each server (200)")
    up.add_argument(
        "--file-size", type=_size, default=256 * 1024, metavar="SIZE", help="maximum size of a test file (256KiB)"
    )
    up.add_argument("--large-files", type=int, default=None, metavar="N", help="number of large test files (2 %%)")
    up.add_argument(
        "--large-size", type=_size, default=4 * 1024**2, metavar="SIZE", help="maximum size of a large test file (4MiB)"
    )
    up.add_argument("--seed", type=int, default=1, help="the same seed gives the same sizes and content (1)")
    up.add_argument("--port", type=int, default=0, metavar="P", help="servers take P, P+1, … (default: free ports)")
    up.add_argument(
        "--relay",
        action="store_true",
        help="put a relay between servers and shovelers, for the faults wire-loss and fragment-loss, and for "
        "udp-loss of a single server; it logs the datagrams that it drops to DIR/faults.jsonl",
    )
    up.add_argument("--ledger", action="store_true", help="make the relay also log the datagrams that it passes on")
    up.add_argument(
        "--fbuff", type=_size, default=1400, metavar="SIZE", help="largest f-stream datagram of the servers (1400)"
    )
    up.add_argument(
        "--origins", dest="servers", type=int, default=argparse.SUPPRESS, metavar="M", help="the same as --servers M"
    )
    up.add_argument(
        "--redirector", action="store_true", help="put a redirector (cmsd) in front of all servers: the server r01"
    )
    up.add_argument(
        "--caches",
        type=int,
        default=0,
        metavar="N",
        help="number of caches (c01 …): each in front of one server, or all in front of the redirector (0)",
    )
    up.add_argument("--xrootd", default="", metavar="PREFIX", help="use the XRootD installed there (PREFIX/bin/xrootd)")
    up.add_argument(
        "--cache-async",
        action="store_true",
        help="leave xrootd.async of the caches at its default, with which they do not count large reads",
    )
    up.add_argument(
        "--tokens",
        action="store_true",
        help="servers let in only who shows a bearer token of the lab's issuer (see `tally-agent lab token`)",
    )
    up.add_argument("--foreground", action="store_true", help="stay in the foreground, and take the lab down at Ctrl-C")
    up.add_argument(
        "--json", action="store_true", help="print the lab's state as JSON; progress goes to standard error"
    )

    down = commands.add_parser("down", help="stop everything and remove all files")
    _directory(down)
    down.add_argument("--flush", action="store_true", help="first give the servers time to send what they still buffer")

    status = commands.add_parser("status", help="show what is up, and what has died")
    _directory(status)
    status.add_argument("--json", action="store_true", help="print the lab's state as JSON")

    fault = commands.add_parser("fault", help="inject a fault, to see how the monitoring reports it")
    _directory(fault)
    fault.add_argument("do", choices=control.FAULTS, help="the fault to inject or end")
    fault.add_argument(
        "--for", dest="seconds", type=_duration, default=0.0, metavar="20s", help="end the fault after this time"
    )
    fault.add_argument(
        "--percent", type=float, default=1.0, help="for a loss: percentage of datagrams to drop (1); 0 ends it"
    )
    fault.add_argument(
        "--server",
        default="",
        metavar="NAME",
        help="the server affected (default: every server for a loss, else one picked at random)",
    )
    fault.add_argument(
        "--codes", default="", metavar="fu", help="for a loss: drop only datagrams with these first bytes"
    )
    fault.add_argument("--json", action="store_true", help="print what was done, and when, as JSON")

    token = commands.add_parser("token", help="print a new bearer token of the lab's issuer")
    _directory(token)
    token.add_argument("--subject", default=issuer.SUBJECT, help=f"whom it is for ({issuer.SUBJECT})")
    token.add_argument(
        "--scope", default=issuer.SCOPE, help=f"what it allows, with paths below {issuer.BASE} ({issuer.SCOPE!r})"
    )
    token.add_argument(
        "--audience", default=issuer.AUDIENCE, metavar="URL", help=f"the servers it is for ({issuer.AUDIENCE})"
    )
    token.add_argument(
        "--for", dest="seconds", type=_duration, default=issuer.SECONDS, metavar="1h", help="how long it is valid (1h)"
    )
    token.add_argument("--expired", action="store_true", help="make one that ended this long ago instead")
    token.add_argument("--out", type=Path, metavar="FILE", help="write it to this file, mode 0600, replacing it")

    # Started by `up` only: its output is for `up`, not for users.
    commands.add_parser("supervise")
    return lab


def run(arguments: argparse.Namespace) -> int:
    """Run the parsed command. Exit code: 0 done, 1 failed, 2 invalid request; errors go to standard error."""
    try:
        match arguments.lab_command:
            case "up":
                return _up(arguments)
            case "down":
                return take_down(arguments.dir, flush=arguments.flush)
            case "status":
                return _status(arguments.dir, as_json=arguments.json)
            case "fault":
                return _fault(arguments)
            case "token":
                return _token(arguments)
            case _:
                from agent.lab import supervisor  # only this one process needs it

                return supervisor.main()
    except LabError as error:
        print(f"tally-agent lab: {error}", file=sys.stderr)
        return 2 if isinstance(error, WishError) else 1


# -- up ----------------------------------------------------------------------------------------------------------------


def _up(arguments: argparse.Namespace) -> int:
    large = max(1, arguments.files // 50) if arguments.large_files is None else arguments.large_files
    options = LabOptions(
        directory=str(arguments.dir),
        servers=arguments.servers,
        shovelers=arguments.shovelers,
        bus=arguments.bus if "://" in arguments.bus or not arguments.bus else str(Path(arguments.bus).resolve()),
        files=arguments.files,
        file_bytes=arguments.file_size,
        large_files=large,
        large_bytes=arguments.large_size,
        seed=arguments.seed,
        port=arguments.port,
        framing=arguments.framing,
        relay=arguments.relay,
        ledger=arguments.ledger,
        fbuff=arguments.fbuff,
        caches=arguments.caches,
        redirector=arguments.redirector,
        xrootd=arguments.xrootd and str(Path(arguments.xrootd).expanduser().absolute()),
        cache_async=arguments.cache_async,
        tokens=arguments.tokens,
    )
    options.check()
    return bring_up(options, as_json=arguments.json, foreground=arguments.foreground)


def bring_up(options: LabOptions, *, as_json: bool = False, foreground: bool = False) -> int:
    """Start a supervisor and wait until its lab is up (with `foreground`: until it is down again). The exit code.

    An interruption (SIGINT, SIGTERM, SIGHUP) takes the lab down, unless it was up and not in the foreground.
    """
    supervisor = [*(options.programs.get("tally-agent") or program_command("tally-agent")), "lab", "supervise"]
    with _interruptions():
        process = subprocess.Popen(
            supervisor, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", start_new_session=True
        )
        orders, reports = process.stdin, process.stdout
        assert orders is not None
        assert reports is not None
        try:
            with orders, reports:
                try:
                    orders.write(msgspec.json.encode(options) + b"\n")
                    orders.flush()
                    outcome = _follow(reports, options, as_json=as_json)
                    if outcome is _Outcome.UP and not foreground:
                        orders.write(progress.KEEP)
                        orders.flush()
                        process.returncode = (
                            0  # it continues without us; else Popen would warn that nobody waited for it
                        )
                        return 0
                    if outcome is _Outcome.UP:
                        outcome = _follow(reports, options, as_json=as_json)
                except KeyboardInterrupt:
                    orders.close()
                    _say("taking the lab down", sys.stderr)
                    end_of_it = _follow(reports, options, as_json=as_json)
                    outcome = max(end_of_it, _Outcome.DOWN if foreground else _Outcome.FAILED)
        except BrokenPipeError:  # only the supervisor's: our own output ignores a closed pipe
            raise LabError(_died(Path(options.directory))) from None
        finally:
            if process.returncode is None:
                process.wait()
    return {_Outcome.DOWN: 0, _Outcome.REFUSED: 2}.get(outcome, 1)


class _Outcome(enum.IntEnum):
    UP = 0
    DOWN = 1
    REFUSED = 2
    FAILED = 3


def _follow(reports: IO[bytes], options: LabOptions, *, as_json: bool) -> _Outcome:
    """Print the supervisor's messages until the lab is up, or is down (again)."""
    people = sys.stderr if as_json else sys.stdout
    ended = _Outcome.DOWN
    while line := reports.readline():
        match progress.decode(line):
            case progress.Progress(text=text):
                _say(f"  {text}", people)
            case progress.Up():
                state = read_state(Path(options.directory))
                if state is None:
                    raise LabError(f"the state file in {options.directory} was removed by another program")
                _say(_as_json(state) if as_json else _what_next(state), sys.stdout)
                return _Outcome.UP
            case progress.Failed(error=error, wish=wish):
                ended = _Outcome.REFUSED if wish else _Outcome.FAILED
                _say(f"tally-agent lab: {error}", sys.stderr)
            case progress.Down(problems=problems):
                _print_problems(problems, Path(options.directory))
                return _Outcome.FAILED if problems else ended
    raise LabError(_died(Path(options.directory)))


def _died(directory: Path) -> str:
    return f"the supervisor died; {command('down', directory)} removes what it left"


def _say(text: str, stream: TextIO) -> None:
    """A closed pipe or terminal must neither take a lab down nor prevent taking it down."""
    try:
        print(text, file=stream, flush=True)
    except OSError:
        with Path(os.devnull).open("w") as nowhere:  # for what is still in its buffer, too
            os.dup2(nowhere.fileno(), stream.fileno())


@contextlib.contextmanager
def _interruptions() -> Iterator[None]:
    """SIGTERM and SIGHUP interrupt like Ctrl-C; once, because what follows takes some seconds and must not be
    interrupted."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, lambda _number, _frame: _say("still taking it down", sys.stderr))
        raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` sets it
        numbers.append(signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# -- down, status, fault -----------------------------------------------------------------------------------------------


def take_down(directory: Path, *, flush: bool = False) -> int:
    """Stop the lab in `directory`, or remove what a dead one left; can be repeated. Returns the exit code."""
    state = read_state(directory)
    if state is None:
        print(f"there is no lab in {directory}")
        return 0
    problems: list[str] = []
    running = [p for p in state.processes if p.kind == "supervisor" and alive(p)]
    if running:
        try:
            answer = control.ask(directory, control.Stop(flush), _STOP_SECONDS)
            problems = [] if answer.ok else [answer.text]
        except LabError:
            pass  # it hangs, or has just died: then we do its work
        _wait_for_end(running)
    else:
        _say("the supervisor of this lab has died; removing what it left", sys.stdout)
    if not problems and (left := read_state(directory)) is not None:
        problems = remains.remove(left)
    _print_problems(problems, directory)
    if not problems:
        _say("the lab is down", sys.stdout)
    return 1 if problems else 0


def _wait_for_end(processes: list[LabProcess]) -> None:
    """The supervisor answers just before it ends; what does not end then is killed."""
    deadline = time.monotonic() + 2.0
    while any(alive(p) for p in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    end(processes, 0.0)


def _status(directory: Path, *, as_json: bool) -> int:
    """0 if a lab is up with all its parts, else 1."""
    state = read_state(directory)
    if state is None:
        print("null" if as_json else f"there is no lab in {directory}; {command('up', directory)} starts one")
        return 1
    running = remains.supervisor_alive(state)
    dead = [p.name for p in state.processes if not alive(p)]
    if as_json:
        seen = (
            state if running else msgspec.structs.replace(state, state="failed", error=state.error or _dead(directory))
        )
        print(_as_json(seen))
    else:
        print(_overview(state, running=running))
    return 0 if running and state.state == "up" and not dead else 1


def _dead(directory: Path) -> str:
    return f"the supervisor has died; {command('down', directory)} removes what it left"


def _fault(arguments: argparse.Namespace) -> int:
    if not 0 <= arguments.percent <= 100:
        print(f"tally-agent lab: --percent is {arguments.percent:g}; it must be from 0 to 100", file=sys.stderr)
        return 2
    if read_state(arguments.dir) is None:
        raise LabError(f"there is no lab in {arguments.dir}; {command('up', arguments.dir)} starts one")
    order = control.Fault(arguments.do, arguments.seconds, arguments.percent, arguments.server, arguments.codes)
    answer = control.ask(arguments.dir, order, _FAULT_SECONDS)
    if not answer.ok:
        raise LabError(answer.text)
    print(msgspec.json.encode({"text": answer.text, "t": answer.t}).decode() if arguments.json else answer.text)
    return 0


def _token(arguments: argparse.Namespace) -> int:
    if read_state(arguments.dir) is None:
        raise LabError(f"there is no lab in {arguments.dir}; {command('up --tokens', arguments.dir)} starts one")
    token = issuer.mint(
        Layout(arguments.dir).issuer,
        subject=arguments.subject,
        scope=arguments.scope,
        audience=arguments.audience,
        seconds=-arguments.seconds if arguments.expired else arguments.seconds,
    )
    if arguments.out is None:
        print(token)
        return 0
    draft = arguments.out.with_name(f".{arguments.out.name}.{os.getpid()}")
    try:
        write_private(draft, token.encode() + b"\n")
        draft.replace(arguments.out)
    except OSError as error:
        raise LabError(f"{arguments.out} cannot be written: {error.strerror}") from None
    return 0


# -- what users see ---------------------------------------------------------------------------------------------------


def _as_json(state: LabState) -> str:
    """As in the state file, but without the password."""
    return msgspec.json.encode(msgspec.structs.replace(state, bus=redact(state.bus))).decode()


def _what_next(state: LabState) -> str:
    first, path = state.servers[0], state.files[0].path
    there = "" if Path(state.directory) == default_directory() else f" --dir {state.directory}"
    return "\n".join(
        [
            f"The lab is up: {_count(len(state.servers), 'server')} ({first.url} …), {len(state.files)} files each, "
            f"records on {state.records_exchange} of {redact(state.bus)}.",
            "Try next:",
            f"  xrdcp -f root://me@{first.url.removeprefix('root://')}/{path} /dev/null",
            f"  tally-agent lab status{there}",
            f"  tally-agent lab fault kill-shoveler{there}",
            f"  tally-agent lab down{there}",
        ]
    )


def _overview(state: LabState, *, running: bool) -> str:
    lines = [f"{state.directory}: {state.state if running else _dead(Path(state.directory))}"]
    if state.error:
        lines.append(state.error)
    lines.append(f"bus: {redact(state.bus)} ({state.broker})")
    lines.append(
        f"packets on {state.packets_exchange}, records on {state.records_exchange}, status on {state.status_exchange}"
    )
    urls = {s.name: f"{s.url} {s.site} → {s.udp}" for s in in_front_too(state)}
    rows = [("name", "pid", "restarts", "where")]
    for p in state.processes:
        where = urls.get(p.name) or (p.metrics and f"http://{p.metrics}/metrics")
        rows.append((p.name, str(p.pid) if alive(p) else "dead", str(p.restarts), where))
    widths = [max(len(row[n]) for row in rows) for n in range(3)]
    lines += ["  ".join([*(row[n].ljust(widths[n]) for n in range(3)), row[3]]).rstrip() for row in rows]
    lines += [f"fault that is on: {f.text}" for f in state.active if not f.until or f.until > time.time()]
    return "\n".join(lines + asyncio.run(_complaints(state)))


def in_front_too(state: LabState) -> list[LabServer]:
    """All its servers, with those that are in front of others."""
    return [*state.servers, *([state.redirector] if state.redirector else []), *state.caches]


async def _complaints(state: LabState) -> list[str]:
    """The problems that our daemons report themselves."""
    daemons = [p for p in state.processes if p.metrics and alive(p)]
    answers = await asyncio.gather(*(health.healthy(p.metrics) for p in daemons))
    return [f"{p.name}: {wrong}" for p, wrong in zip(daemons, answers, strict=True) if wrong]


def _print_problems(problems: list[str], directory: Path) -> None:
    for problem in problems:
        _say(f"tally-agent lab: {problem}", sys.stderr)
    if problems:
        _say(f"tally-agent lab: {command('down', directory)} tries again", sys.stderr)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# -- arguments ---------------------------------------------------------------------------------------------------------


def _directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dir",
        type=lambda text: Path(text).expanduser().absolute(),
        default=default_directory(),
        help=f"directory of the lab (default {default_directory()}); removed by `down`",
    )


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
