"""Reading plans, with every problem by its line; writing them back with comments kept."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.messages import Workload
from gui.campaign.plan import FAULT_KINDS, LOSS_KINDS, Fault, Files, Labelled, Means, Plan, Test, Who
from gui.campaign.planfile import PlanError, format_plan, move_test, parse_plan, update_plan

WHOLE = """\
# The plan of the design.
name = "osdf-2021"
settle = "90s"                 # the longest wait for monitoring after the last request
[[test]]
servers = 50                   # M
files_per_server = 800         # O = M × this
per_round = 100                # N
wait = "1s"
repeats = 3
seed = 42
pass_at = 100.0
[test.files]
list = "files.txt"             # PATH SIZE per line
[test.who]
clients = "all"
slots = 16                     # worker threads per client
[test.workload]
kind = "full"                  # full | range | vector | long | write
[[test.fault]]
at = "30s"
do = "broker-down"
for = "60s"
"""


def problems(text: str) -> list[str]:
    """What is wrong with a plan, line by line."""
    with pytest.raises(PlanError) as caught:
        parse_plan(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_plan_of_the_design_is_read() -> None:
    assert parse_plan(WHOLE) == Plan(
        name="osdf-2021",
        settle=90.0,
        tests=(
            Test(
                servers=50,
                files_per_server=800,
                per_round=100,
                wait=1.0,
                repeats=3,
                seed=42,
                pass_at=100.0,
                files=Files(list="files.txt"),
                who=Who("all", 16),
                workload=Workload("full"),
                faults=(Fault(30.0, "broker-down", 60.0),),
            ),
        ),
    )


def test_only_what_is_needed_is_needed() -> None:
    plan = parse_plan('name = "x"\n[[test]]\nservers = 2\nfiles_per_server = 10\nper_round = 3\n')
    (test,) = plan.tests
    assert (test.rounds, [test.round_size(number) for number in range(1, 5)]) == (4, [3, 3, 3, 1])
    assert (test.wait, test.repeats, test.pass_at, plan.settle) == (1.0, 1, 100.0, 90.0)


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        ("3", 3),
        ('"all"', "all"),
        ('"label:EU"', Labelled("EU")),
        ('["s2", "root://h.example:1094"]', ("s2", "root://h.example:1094")),
    ],
)
def test_the_ways_to_choose_servers(value: str, choice: object) -> None:
    plan = parse_plan(f'name = "x"\n[[test]]\nservers = {value}\nfiles_per_server = 1\nper_round = 1\n')
    assert plan.tests[0].servers == choice


@pytest.mark.parametrize(
    ("line", "instead", "says"),
    [
        ("settle =", "setle =", "line 3: unknown key 'setle'; did you mean settle?"),
        ("servers = 50", "servers = -1", "line 5: servers: expected a number from 1 to 10,000, not -1"),
        ("servers = 50", 'servers = "EU"', 'line 5: servers: expected a number, "all", a list of server names'),
        ("servers = 50", 'servers = ["a", "a"]', "line 5: servers: server 'a' is named twice"),
        ("servers = 50", 'servers = ["ftp://x"]', "line 5: servers: 'ftp://x' is not the URL of an XRootD server"),
        ("servers = 50", "servers = true", "line 5: servers: expected"),
        ("files_per_server = 800", "files_per_server = 0", "line 6: files_per_server: expected a number from 1"),
        ("files_per_server = 800", "files_per_server = 1.5", "line 6: files_per_server: expected a whole number"),
        ("files_per_server = 800", "", "line 4: [[test]] lacks files_per_server"),
        ("per_round = 100", 'per_round = "100"', "line 7: per_round: expected a whole number, not '100'"),
        ('wait = "1s"', 'wait = "1 parsec"', 'line 8: wait: expected a duration such as "90s"'),
        ('wait = "1s"', "wait = -1", "line 8: wait: expected a duration such as"),
        ("repeats = 3", "repeats = 0", "line 9: repeats: expected a number from 1 to 1,000, not 0"),
        ("seed = 42", "seed = -42", "line 10: seed: expected a number from 0"),
        ("pass_at = 100.0", "pass_at = 100.1", "line 11: pass_at: expected a percentage from 0 to 100"),
        ('list = "files.txt"', 'lst = "files.txt"', "line 13: unknown key 'lst'; did you mean list?"),
        ('list = "files.txt"', 'list = "a"\ndir = "/b"', "line 14: files: give either list or dir, not both"),
        ('list = "files.txt"', 'dir = "b"', "line 13: dir: a path begins with"),
        ('clients = "all"', "clients = 0", "line 15: clients: expected a number from 1"),
        ('clients = "all"', 'clients = ["root://x"]', "line 15: clients: expected the names of clients, not a URL"),
        ("slots = 16", "slots = 2000", "line 16: slots: expected a number from 1 to 1,024, not 2,000"),
        (
            'kind = "full"',
            'kind = "ful"',
            "line 18: kind: expected one of full, range, vector, long, past_end, write, got 'ful'",
        ),
        ('kind = "full"', 'kind = "full"\nchunks = 3', "line 19: chunks has no meaning for the workload 'full'"),
        ('kind = "full"', 'kind = "range"\nbytes = 0', "line 19: bytes: expected a size from 1 byte"),
        (
            "pass_at = 100.0",
            'protocol = "htp"',
            "line 11: protocol: expected one of root, roots, http, https, got 'htp'",
        ),
        ("pass_at = 100.0", "port = 0", "line 11: port: expected a number from 1 to 65,535, not 0"),
        ("pass_at = 100.0", 'verify = "yes"', "line 11: verify: expected true or false, not 'yes'"),
        ('list = "files.txt"', 'write = "b"', "line 13: write: a path begins with"),
        ('kind = "full"', 'kind = "full"\nprotocol = "http"', "line 19: unknown key 'protocol'"),
        ("[test.workload]", "[[test.mix]]\nweight = 0", "line 18: weight: expected a number from 1 to 1,000, not 0"),
        (
            "[test.workload]",
            "[[test.mix]]\n[test.workload]",
            "line 18: give either [test.workload] or [[test.mix]], not",
        ),
        ("[test.workload]", "[test.mix]", "line 17: mix: expected tables that each begin with [[test.mix]]"),
        (
            '[test.workload]\nkind = "full"',
            '[[test.mix]]\nkind = "long"\nprotocol = "https"',
            "line 18: kind: 'long' needs root or roots; an HTTP request leaves no file open",
        ),
        (
            'kind = "full"',
            'kind = "full"\n' + "[[test]]\nservers = 1\nfiles_per_server = 1\nper_round = 1\n"
            'protocol = "http"\n[test.workload]\nkind = "long"',
            "line 25: kind: 'long' needs root or roots",
        ),
        ('at = "30s"', "", "line 19: the fault lacks at"),
        ('do = "broker-down"', 'do = "broker-dwn"', "line 21: do: expected one of"),
        ('for = "60s"', "", "line 19: the fault 'broker-down' needs for"),
        ('for = "60s"', 'for = "60s"\npercent = 3', "line 23: percent has no meaning for the fault 'broker-down'"),
        ('for = "60s"', 'for = "60s"\nserver = "s1"', "line 23: server has no meaning for the fault 'broker-down'"),
        ('do = "broker-down"', 'do = "wire-loss"\npercent = 0', "line 22: percent: expected more than 0 per cent"),
        ('do = "broker-down"', 'do = "kill-server"\nserver = "a b"', "line 22: server: expected the name of one"),
        ("[test.who]", '[test.auth]\ntoken = "ey.J.x"\n[test.who]', 'line 15: token: expected "env:NAME", a variable'),
        (
            "[test.who]",
            '[test.auth]\ntoken = "env:A"\ntoken_file = "t"\n[test.who]',
            "line 15: auth: give either token_file or token, not both",
        ),
        ("[test.who]", '[test.auth]\nkey = "k"\n[test.who]', "line 15: auth: a key needs its certificate; give cert"),
        ("[test.who]", "[test.whom]", "line 14: unknown key 'whom'; did you mean who?"),
        ("[[test.fault]]", "[test.fault]", "line 19: fault: expected tables that each begin with [[test.fault]]"),
        ('name = "osdf-2021"', 'name = ""', "line 2: name: expected a text that is not empty"),
    ],
)
def test_every_mistake_has_its_line_and_field(line: str, instead: str, says: str) -> None:
    assert line in WHOLE
    assert any(problem.startswith(says) for problem in problems(WHOLE.replace(line, instead))), problems(
        WHOLE.replace(line, instead)
    )


def test_all_problems_at_once_in_the_order_of_their_lines() -> None:
    text = WHOLE.replace("wait", "wiat").replace("slots = 16", "slots = 0").replace("settle", "sette")
    assert [problem.split(":")[0] for problem in problems(text)] == ["line 3", "line 8", "line 16"]


def test_the_second_test_is_named_by_its_own_lines() -> None:
    text = WHOLE + "[[test]]\nservers = 1\nfiles_per_server = 1\nper_round = 1\n[test.who]\nslots = -1\n"
    with pytest.raises(PlanError) as caught:
        parse_plan(text, name="big.toml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.field) == (28, "test[2].who.slots")
    assert str(caught.value).startswith("big.toml, line 28: slots: ")


def test_values_over_several_lines_do_not_confuse_the_lines() -> None:
    text = 'name = """\nslots = 3\n"""\n[[test]]\nservers = [\n  "a", # servers = 4\n  "b",\n]\nfiles_per_server = 1\n'
    found = problems(text + "per_rond = 1\n")
    assert "line 10: unknown key 'per_rond'; did you mean per_round?" in found
    assert "line 1: name: expected one line of at most 200 characters" in found


@pytest.mark.parametrize(
    ("text", "line"), [("name = ", 1), ("name = 'x'\n[[test]\n", 2), ("a = 1\na = 2", 2), ('x = "', 1)]
)
def test_what_is_no_toml_says_where(text: str, line: int) -> None:
    (problem,) = problems(text)
    assert problem.startswith(f"line {line}: this is not TOML: ")


def test_a_plan_without_tests_is_none() -> None:
    assert problems('name = "x"') == [
        'line 1: a plan needs at least one [[test]]; "tally run" has nothing to do without'
    ]
    assert problems('name = "x"\ntest = 3') == ["line 2: test: expected tables that each begin with [[test]]"]
    assert problems("x" * (2**20 + 1))[0].startswith("a plan has at most 1 MiB")


# ---------------------------------------------------------------- writing


def test_a_plan_that_did_not_change_keeps_its_text() -> None:
    assert update_plan(WHOLE, parse_plan(WHOLE)) == WHOLE


def test_a_change_touches_its_own_line_only() -> None:
    plan = parse_plan(WHOLE)
    changed = replace(plan, settle=120.0, tests=(replace(plan.tests[0], per_round=50, who=Who(4, 16)),))
    before, after = WHOLE.splitlines(), update_plan(WHOLE, changed).splitlines()
    assert [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]] == [
        (before[2], 'settle = "2m"                 # the longest wait for monitoring after the last request'),
        (before[6], "per_round = 50                # N"),
        (before[14], "clients = 4"),
    ]


def test_tests_and_faults_come_and_go() -> None:
    plan = parse_plan(WHOLE)
    more = replace(plan, tests=(replace(plan.tests[0], faults=()), replace(plan.tests[0], servers=8)))
    text = update_plan(WHOLE, more)
    assert parse_plan(text) == more
    assert "# worker threads per client" in text
    assert parse_plan(update_plan(text, plan)) == plan


THREE = """\
name = "three"
# What all of it is for.

# The small one.
[[test]]
name = "small"    # a word of it
servers = 1
files_per_server = 1
per_round = 1
[[test.fault]]
at = "1s"
do = "broker-down"
for = "2s"

# The middle one,
# in two lines.
[[ test ]]
name = "middle"
servers = 2
files_per_server = 1
per_round = 1


[[test]]
name = "large"
servers = 3
files_per_server = 1
per_round = 1
# Nothing follows."""


def test_a_test_that_moves_takes_its_comments_along() -> None:
    text = move_test(THREE, parse_plan(THREE), 0, 1)
    assert [test.name for test in parse_plan(text).tests] == ["middle", "small", "large"]
    lines = text.splitlines()
    assert lines[:2] == THREE.splitlines()[:2]
    assert lines[lines.index('name = "middle"') - 2] == "# in two lines."
    assert lines[lines.index('name = "small"    # a word of it') - 2] == "# The small one."
    assert move_test(text, parse_plan(text), 1, 0) == THREE
    last = move_test(THREE, parse_plan(THREE), 2, 0)
    assert [test.name for test in parse_plan(last).tests] == ["large", "small", "middle"]


def test_a_test_moves_however_it_is_written() -> None:
    plan = parse_plan(THREE)
    tests = ", ".join(f'{{name = "{n}", servers = 1, files_per_server = 1, per_round = 1}}' for n in ("a", "b"))
    inline = f'name = "x"\ntest = [{tests}]\n'
    assert [test.name for test in parse_plan(move_test(inline, parse_plan(inline), 0, 1)).tests] == ["b", "a"]
    misleading = THREE.replace('"three"', '"""\\\n[[test]]"""')
    plan = parse_plan(misleading)
    assert [test.name for test in parse_plan(move_test(misleading, plan, 2, 0)).tests] == ["large", "small", "middle"]


names = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cc", "Cs", "Zl", "Zp"]),
    min_size=1,
    max_size=30,
)
seconds = st.one_of(st.integers(0, 86400).map(float), st.integers(0, 86_400_000).map(lambda ms: ms / 1000))
some_seconds = seconds.filter(bool)
choices = st.one_of(
    st.integers(1, 10_000),
    st.just("all"),
    st.from_regex(r"[A-Za-z0-9]{1,9}", fullmatch=True).map(Labelled),
    st.lists(st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True), min_size=1, max_size=4, unique=True).map(tuple),
)
sizes = st.integers(1, 2**40)
workloads = st.one_of(
    st.just(Workload("full")),
    st.builds(Workload, kind=st.just("range"), bytes=sizes),
    st.builds(Workload, kind=st.just("vector"), bytes=sizes, chunks=st.integers(1, 1024)),
    st.builds(Workload, kind=st.just("long"), bytes=sizes, reads=st.integers(1, 1000), pause=seconds),
    st.builds(Workload, kind=st.just("write"), bytes=sizes),
)
protocols = {"protocol": st.sampled_from(["", "root", "roots", "http", "https"]), "port": st.integers(0, 65535)}
mixed = st.tuples(workloads, st.integers(1, 1000), *protocols.values()).map(
    lambda made: msgspec.structs.replace(
        made[0], weight=made[1], port=made[3], protocol="root" if made[0].kind == "long" else made[2]
    )
)
what = st.one_of(
    st.fixed_dictionaries({"workload": workloads}),
    st.fixed_dictionaries({"mix": st.lists(mixed, min_size=1).map(tuple)}),
)
tests = st.builds(
    lambda what, **values: Test(**what, **values),
    servers=choices,
    files_per_server=st.integers(1, 10**7),
    per_round=st.integers(1, 10**5),
    wait=seconds,
    repeats=st.integers(1, 1000),
    seed=st.integers(0, 2**53),
    pass_at=st.floats(0, 100),
    name=st.one_of(st.just(""), names.filter(str.strip)),
    timeout=some_seconds,
    files=st.one_of(
        st.just(Files()), names.filter(str.strip).map(lambda n: Files(list=n)), st.just(Files(dir="/s/t", write="/w"))
    ),
    who=st.builds(Who, choices, st.integers(1, 1024)),
    what=what,
    verify=st.booleans(),
    protocol=st.sampled_from(["", "root", "roots"]),
    port=protocols["port"],
    faults=st.lists(
        st.one_of(
            st.builds(Fault, seconds, st.sampled_from(FAULT_KINDS), some_seconds),
            st.builds(
                Fault,
                seconds,
                st.sampled_from(LOSS_KINDS),
                some_seconds,
                st.floats(0.01, 100),
                st.sampled_from(["", "s7"]),
            ),
        ),
        max_size=3,
    ).map(tuple),
)
plans = st.builds(
    Plan, name=names.filter(str.strip), tests=st.lists(tests, min_size=1, max_size=3).map(tuple), settle=seconds
)


@settings(max_examples=60, deadline=None)
@given(plans)
def test_what_is_written_reads_the_same(plan: Plan) -> None:
    assert parse_plan(format_plan(plan)) == plan


@settings(max_examples=60, deadline=None)
@given(plans, st.data())
def test_any_test_can_move_anywhere(plan: Plan, data: st.DataObject) -> None:
    place = st.integers(0, len(plan.tests) - 1)
    number, to = data.draw(place), data.draw(place)
    tests = list(plan.tests)
    tests.insert(to, tests.pop(number))
    assert parse_plan(move_test(format_plan(plan), plan, number, to)) == replace(plan, tests=tuple(tests))


@given(plans, plans)
def test_any_plan_can_become_any_other(one: Plan, other: Plan) -> None:
    assert parse_plan(update_plan(format_plan(one), other)) == other


@given(st.text(max_size=300))
def test_any_text_is_a_plan_or_a_plan_error(text: str) -> None:
    try:
        parse_plan(text)
    except PlanError as error:
        assert error.problems  # noqa: PT017 - any text may also be a plan


@pytest.mark.parametrize(
    ("broken", "lines"),
    [
        ("name = \nseed == 3\n[[test]\nservers = 4\nfoo bar\n", [1, 2, 3, 5]),
        ('name = "x"\nname = "y"\nz =\n', [2, 3]),
        ('a = """x\nb = 3\n', [2]),
        ("a = [1,\nb = 2\nc = \n", [2, 3]),
        ("".join(f"line {number}\n" for number in range(500)), list(range(1, 101))),
        ("# a\u2028b\n= 1\n", [2]),
    ],
)
def test_every_line_that_is_not_toml_is_named(broken: str, lines: list[int]) -> None:
    with pytest.raises(PlanError) as caught:
        parse_plan(broken)
    assert [problem.line for problem in caught.value.problems] == lines
    assert all("this is not TOML: " in problem.text for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a" + ".a" * 100_000 + " = 1", "a key has more than 20 parts"),
        ("[" + "a . " * 20 + "a]", "a key has more than 20 parts"),
        ("a = " + "[" * 5_000, "arrays or tables are nested too deeply"),
        ("a = " + "9" * 10_000, "a number has too many digits"),
        ("#" * 1_100_000, "a plan has at most 1 MiB"),
    ],
)
def test_a_text_that_would_take_hours_to_read_is_not_read(text: str, said: str) -> None:
    assert problems(text) == [said]


def test_addresses_and_versions_are_no_keys_of_too_many_parts() -> None:
    address = "root://" + ".".join("abcdefghijklmnopqr") + ":1094"
    plan = parse_plan(
        f'name = "1.2.3.4.5.6.7.8"\n[[test]]\nservers = ["{address}"]\nfiles_per_server = 1\nper_round = 1'
    )
    assert plan.tests[0].servers == (address,)


def test_a_problem_behind_a_list_of_many_lines_has_its_line() -> None:
    names = "\n".join(f'"s{number}",' for number in range(9_000))
    text = f'name = "x"\n[[test]]\nservers = [\n{names}\n]\nfiles_per_server = 1\nper_round = 1\ncolour = "red"'
    (problem,) = problems(text)
    assert problem.startswith(f"line {3 + 9_000 + 4}: unknown key 'colour'")


def test_lines_of_a_list_that_all_look_like_its_end_do_not_take_hours() -> None:
    text = "colour = [\n" + "1, # ]\n" * 50_000 + "]\nsmell = 1"
    first, second, *_ = problems(text)
    assert first.startswith("line 1: ")
    assert second.startswith("line 1: ")


@pytest.mark.parametrize("sign", ["\\u0085", "\\u2028", "\\u001b", "\\n"])
def test_a_name_is_one_line_that_a_bundle_can_have(sign: str) -> None:
    said = problems(f'name = "a{sign}b"\n[[test]]\nservers = 1\nfiles_per_server = 1\nper_round = 1')
    assert said == ["line 1: name: expected one line of at most 200 characters"]


def test_credentials_are_named_and_never_shown() -> None:
    text = WHOLE.replace("[test.who]", '[test.auth]\ntoken_file = "t"\ncert = "c.pem"\nkey = "k.pem"\n[test.who]')
    plan = parse_plan(text)
    assert plan.tests[0].auth == Means(token_file="t", cert="c.pem", key="k.pem")
    assert parse_plan(format_plan(plan)) == plan
    assert update_plan(text, plan) == text
    assert (
        Means(token="env:MY_TOKEN")
        == parse_plan(WHOLE.replace("[test.who]", '[test.auth]\ntoken = "env:MY_TOKEN"\n[test.who]')).tests[0].auth
    )
    assert not parse_plan(WHOLE).tests[0].auth
    secret = "eyJh.bGciOi.JIUzI"
    for wrong in (f'token = "{secret}"', f'token = "env:{secret}"'):
        with pytest.raises(PlanError) as caught:
            parse_plan(WHOLE.replace("[test.who]", f"[test.auth]\n{wrong}\n[test.who]"))
        assert secret not in str(caught.value)
