"""Manual pages and shell completion, made from the parsers and settings of the four programs: `--help` says the same.

    packaging/manuals.py DIRECTORY [PROGRAM...]

writes ``DIRECTORY/man/PROGRAM.1``, for a daemon also ``PROGRAM.toml.5``, and ``DIRECTORY/{bash,zsh,fish}/…``.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    "tally": "gui.cli",
    "tally-agent": "agent.cli",
    "tally-shoveler": "shoveler.cli",
    "tally-collector": "collector.cli",
}
SETTINGS = {"tally-shoveler": "shoveler.config", "tally-collector": "collector.config"}
EXIT = (
    ("0", "done, and passed where there is something to pass"),
    ("1", "the work failed or did not pass"),
    ("2", "wrong usage or settings; what is wrong was printed"),
)


@dataclass
class Option:
    """One option, as a user types it."""

    flags: list[str]
    value: str
    """What it takes, as shown; empty for a switch."""
    choices: list[str]
    help: str

    @property
    def takes_file(self) -> bool:
        """Whether the value is a path."""
        return self.value in ("FILE", "DIR", "PATH")


@dataclass
class Command:
    """A program or one of its commands."""

    name: str
    """All of its words: ``tally key rotate``."""
    about: str
    options: list[Option]
    operands: list[tuple[str, str]]
    commands: list[Command] = field(default_factory=list)

    def walk(self) -> Iterator[Command]:
        """This one and all below it."""
        yield self
        for command in self.commands:
            yield from command.walk()


# ---------------------------------------------------------------- what the parsers say


def command_of(parser: argparse.ArgumentParser, about: str = "") -> Command:
    """What a parser accepts, and what its subparsers do."""
    expand = parser._get_formatter()._expand_help  # fills in %(default)s
    found = Command(parser.prog, about or parser.description or "", [], [])
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        if isinstance(action, argparse._SubParsersAction):
            said = {entry.dest: entry.help or "" for entry in action._choices_actions}
            found.commands += [command_of(below, said[name]) for name, below in action.choices.items() if name in said]
        elif action.option_strings:
            value = "" if action.nargs == 0 else _metavar(action)
            choices = list(map(str, action.choices or ()))
            choices = choices or (value.split("|") if re.fullmatch(r"[a-z]+(\|[a-z]+)+", value) else [])
            found.options.append(Option(list(action.option_strings), value, choices, expand(action)))
        else:
            found.operands.append((_metavar(action), expand(action) if action.help else ""))
    return found


def _metavar(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    return "|".join(map(str, action.choices)) if action.choices else action.dest.upper().replace("_", "-")


def program_of(name: str) -> Command:
    """A program with all of its commands."""
    first, *others = importlib.import_module(MODULES[name]).parsers()
    program = command_of(first)
    program.commands += [command_of(parser) for parser in others]
    return program


# ---------------------------------------------------------------- manual pages


def roff(text: str) -> str:
    """Text for a page: what roff would take for a request or an escape is protected."""
    text = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-").replace("|", "|\\:")
    return "\\&" + text if text[:1] in (".", "'") else text


def _summary(text: str) -> str:
    """The first sentence, without its capital and full stop, as manual pages begin."""
    sentence = re.split(r"[.:] ", text.replace("``", "").strip() + " ", maxsplit=1)[0]
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def page(program: Command, version: str, date: str) -> str:
    """The manual page of a program."""
    out = [_title(program.name, "1", version, date), ".SH NAME", f"{program.name} \\- {roff(_summary(program.about))}"]
    out += [".SH SYNOPSIS", *(_synopsis(command) for command in program.walk())]
    out += [".SH DESCRIPTION", roff(program.about)]
    for command in program.walk():
        if command is not program:
            out += [f'.SH "COMMAND {command.name.split(" ", 1)[1].upper()}"', roff(command.about)]
        else:
            out.append(".SH OPTIONS")
        for value, said in command.operands:
            out += [".TP", f"\\fI{roff(value)}\\fR", roff(said) or "\\&"]
        for option in command.options:
            flags = ", ".join(f"\\fB{roff(flag)}\\fR" for flag in option.flags)
            out += [
                ".TP",
                flags + (f" \\fI{roff(option.value)}\\fR" if option.value else ""),
                roff(option.help) or "\\&",
            ]
    out.append('.SH "EXIT STATUS"')
    for code, said in EXIT:
        out += [".TP", f"\\fB{code}\\fR", roff(said)]
    if program.name in SETTINGS:
        prefix = program.name.upper().replace("-", "_")
        out += [".SH ENVIRONMENT", ".TP", f"\\fB{prefix}_CONFIG\\fR", "The file with the settings."]
        out += [
            ".TP",
            f"\\fB{prefix}_\\fR\\fINAME\\fR",
            roff(f"A setting, with _ for the dot: see {program.name}.toml(5)."),
        ]
        out += [
            ".SH FILES",
            ".TP",
            f"\\fI{roff(f'/etc/tally/{program.name}.toml')}\\fR",
            "The settings of the service.",
        ]
        out += [".TP", f"\\fI{roff(f'/var/lib/{program.name}')}\\fR", "What the service must not lose."]
    out.append('.SH "SEE ALSO"')
    others = [name for name in MODULES if name != program.name]
    if program.name in SETTINGS:
        others.insert(0, f"{program.name}.toml")
    out.append(", ".join(f"\\fB{roff(name)}\\fR({5 if name.endswith('.toml') else 1})" for name in others))
    return "\n".join(out) + "\n"


def _title(name: str, section: str, version: str, date: str) -> str:
    return f'.TH {name.upper().replace("-", chr(92) + "-")} {section} {date} "Tally {version}" "Tally"\n.ad l\n.nh'


def _synopsis(command: Command) -> str:
    text = f"\\fB{roff(command.name)}\\fR"
    if command.options:
        text += " [\\fIOPTION\\fR]..."
    for value, _said in command.operands:
        text += f" \\fI{roff(value)}\\fR"
    if command.commands and not command.operands and not command.options:
        text += " \\fICOMMAND\\fR"
    return f".br\n{text}"


def settings_page(program: str, version: str, date: str) -> str:
    """The manual page of a settings file."""
    schema = importlib.import_module(SETTINGS[program]).SCHEMA
    out = [_title(f"{program}.toml", "5", version, date), ".SH NAME", f"{program}.toml \\- settings of {roff(program)}"]
    out += [
        ".SH DESCRIPTION",
        roff(
            "A TOML file. A setting whose name has a dot belongs to a table: spool.dir is dir in [spool]. Each is "
            f"also an option, and a variable of the environment: {schema.variable('log.level')} is log.level. Options "
            "come first, then the environment, then credentials of systemd, then the file. "
            f"'{program} -c FILE --check-config' reports mistakes, each with its line."
        ),
        ".SH SETTINGS",
    ]
    for setting in schema.settings:
        default = "" if setting.default in (None, "", [], {}) else f" Default: {_shown(setting.default)}."
        restart = " A change needs a restart." if setting.needs_restart else ""
        out += [".TP", f"\\fB{roff(setting.name)}\\fR (\\fI{roff(setting.expects())}\\fR)"]
        out.append(roff(f"{setting.help}{default}{restart}"))
    out += [
        ".SH FILES",
        f"\\fI{roff(f'/etc/tally/{program}.toml')}\\fR",
        '.SH "SEE ALSO"',
        f"\\fB{roff(program)}\\fR(1)",
    ]
    return "\n".join(out) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} = {item}" for key, item in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


# ---------------------------------------------------------------- completion


def bash(program: Command) -> str:
    """bash: the words typed so far choose a command; then its options, the values of an option, or file names."""
    name = "_" + program.name.replace("-", "_")
    out = [f"# Completion of {program.name} for bash; made from its options.", f"{name}() {{"]
    out += [
        "    local word previous at command",
        '    word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=""',
        "    for ((at = 1; at < COMP_CWORD; at++)); do",
        '        case "$command ${COMP_WORDS[at]}" in',
    ]
    deeper = [_words(command, program) for command in program.walk() if command is not program]
    out += [f'            " {words}") command=" {words}" ;;' for words in deeper]
    out += ["        esac", "    done", '    case "$command:$previous" in']
    for command in program.walk():
        at = (" " + _words(command, program)).rstrip()
        for option in command.options:
            pattern = "|".join(f'"{at}:{flag}"' for flag in option.flags)
            if option.choices:
                answer = f"mapfile -t COMPREPLY < <(compgen -W '{' '.join(option.choices)}' -- \"$word\")"
                out.append(f"        {pattern}) {answer}; return ;;")
            elif option.value:
                answer = 'mapfile -t COMPREPLY < <(compgen -f -- "$word")' if option.takes_file else "COMPREPLY=()"
                out.append(f"        {pattern}) {answer}; return ;;")
    out += ["    esac", '    case "$command" in']
    for command in program.walk():
        at = (" " + _words(command, program)).rstrip()
        words = [flag for option in command.options for flag in option.flags if flag.startswith("--")]
        words += [below.name.rsplit(" ", 1)[1] for below in command.commands]
        files = " -f" if command.operands else ""
        out.append(f'        "{at}") mapfile -t COMPREPLY < <(compgen{files} -W \'{" ".join(words)}\' -- "$word") ;;')
    out += ["    esac", "}", f"complete -o filenames -F {name} {program.name}"]
    return "\n".join(out) + "\n"


def _words(command: Command, program: Command) -> str:
    return command.name.removeprefix(program.name).strip()


def zsh(program: Command) -> str:
    """zsh: one function for each command, with the help of each option."""
    out = [f"#compdef {program.name}", f"# Completion of {program.name} for zsh; made from its options."]
    for command in program.walk():
        out += [
            f"{_function(command.name)}() {{",
            "    local state line context; typeset -A opt_args",
            "    _arguments -C \\",
        ]
        for option in command.options:
            said = _zsh_text(option.help)
            value = ""
            if option.value:
                answer = f"({' '.join(option.choices)})" if option.choices else "_files" if option.takes_file else " "
                value = f":{_zsh_text(option.value)}:{answer}"
            out += [f"        '*{flag}[{said}]{value}' \\" for flag in option.flags]
        if command.commands:
            out += ["        '1:command:->command' '*::argument:->argument'", "    case $state in", "        command)"]
            listed = " ".join(
                f"'{below.name.rsplit(' ', 1)[1]}:{_zsh_text(below.about)}'" for below in command.commands
            )
            out += [f"            local -a commands; commands=({listed})", "            _describe command commands ;;"]
            out += ["        argument)", "            case $line[1] in"]
            out += [
                f"                {below.name.rsplit(' ', 1)[1]}) {_function(below.name)} ;;"
                for below in command.commands
            ]
            out += ["            esac ;;", "    esac"]
        else:
            out.append(
                f"        '*:{_zsh_text(command.operands[0][0])}:_files'" if command.operands else "        '*: :'"
            )
        out.append("}")
    out.append(f'{_function(program.name)} "$@"')
    return "\n".join(out) + "\n"


def _function(name: str) -> str:
    return "_" + re.sub(r"\W", "_", name)


def _zsh_text(text: str) -> str:
    flat = " ".join(text.split()).replace("'", "’")
    return re.sub(r"([\[\]:\\])", r"\\\1", flat)


def fish(program: Command) -> str:
    """fish: one line for each option, shown once the words of its command were typed."""
    out = [f"# Completion of {program.name} for fish; made from its options."]
    for command in program.walk():
        words = _words(command, program).split()
        when = " ; and ".join(f"__fish_seen_subcommand_from {word}" for word in words) or "__fish_use_subcommand"
        if command.commands and words:
            below = " ".join(each.name.rsplit(" ", 1)[1] for each in command.commands)
            when += f" ; and not __fish_seen_subcommand_from {below}"
        start = f"complete -c {program.name} -n '{when}'"
        out += [
            f"{start} -f -a {below.name.rsplit(' ', 1)[1]} -d '{_fish_text(below.about)}'" for below in command.commands
        ]
        for option in command.options:
            line = start
            for flag in option.flags:
                line += f" -l {flag[2:]}" if flag.startswith("--") else f" -s {flag[1:]}"
            if option.choices:
                line += f" -x -a '{' '.join(option.choices)}'"
            elif option.value:
                line += " -r" if option.takes_file else " -x"
            out.append(f"{line} -d '{_fish_text(option.help)}'")
    return "\n".join(out) + "\n"


def _fish_text(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("'", "\\'")


# ---------------------------------------------------------------- the files


def write(into: Path, programs: list[str], version: str, date: str) -> None:
    """All files for these programs. `date` as on the pages: 2026-11-29."""
    for shell in ("man", "bash", "zsh", "fish"):
        (into / shell).mkdir(parents=True, exist_ok=True)
    for name in programs:
        program = program_of(name)
        (into / "man" / f"{name}.1").write_text(page(program, version, date), encoding="utf-8")
        if name in SETTINGS:
            (into / "man" / f"{name}.toml.5").write_text(settings_page(name, version, date), encoding="utf-8")
        (into / "bash" / name).write_text(bash(program), encoding="utf-8")
        (into / "zsh" / f"_{name}").write_text(zsh(program), encoding="utf-8")
        (into / "fish" / f"{name}.fish").write_text(fish(program), encoding="utf-8")


if __name__ == "__main__":
    import datetime
    import tomllib

    sys.path.insert(0, str(ROOT))
    release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    write(Path(sys.argv[1]), sys.argv[2:] or list(MODULES), release, today)
