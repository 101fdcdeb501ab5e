import invoke
import pytest
from invoke.exceptions import Exit, ParseError
from invoke.parser import Argument, Parser, ParserContext

from rolecall.cli.flags import Flags, choose_roles, from_arguments
from rolecall.cli.login import Login
from rolecall.cli.program import name_positionals
from rolecall.cli.usage import check_values, usage_errors
from rolecall.errors import ConfigError

ROLES = ("system", "python", "model", "engine")


def contexts():
    set_ = Argument(names=("set",), kind=list)
    question = Argument(names=("question",), optional=False)
    resource = Argument(names=("resource",))
    return [
        ParserContext("chat", args=[question, set_, Argument(names=("raw",), kind=bool)]),
        ParserContext("why", args=[resource]),
        ParserContext("deploy", args=[Argument(names=("check",), kind=bool)]),
        ParserContext("status"),
    ]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("chat Hello", "chat --question Hello"),
        ("chat", "chat"),
        ("chat --raw Hello", "chat --raw --question Hello"),
        ("chat Hello --raw", "chat --question Hello --raw"),
        ("chat --question Hello", "chat --question Hello"),
        ("chat --question=Hello status", "chat --question=Hello status"),
        ("chat --question Hello status", "chat --question Hello status"),
        ("chat --set a.b=1 Hello", "chat --set a.b=1 --question Hello"),
        ("chat Hello --set deploy", "chat --question Hello --set deploy"),
        ("chat deploy", "chat --question deploy"),
        ("deploy --check", "deploy --check"),
        ("deploy status", "deploy status"),
        ("deploy why file:/a status", "deploy why --resource file:/a status"),
        ("chat -", "chat --question -"),
        ("", ""),
        ("unknown x", "unknown x"),
    ],
)
def test_an_optional_positional_is_named_where_it_was_not(given, named):
    optional = {"chat": "question", "why": "resource"}
    assert name_positionals(given.split(), contexts(), optional) == named.split()


def tagged():
    arguments = [
        Argument(names=("tags",)),
        Argument(names=("hosts", "H")),
        Argument(names=("forks",), kind=int),
        Argument(names=("set",), kind=list),
        Argument(names=("check",), kind=bool, default=False),
    ]
    return {name: ParserContext(name, args=arguments) for name in ("deploy", "model", "plan")}


@pytest.mark.parametrize(
    ("given", "said", "hint"),
    [
        ("deploy --tags engine --tags model", "--tags is given twice", "--tags A,B"),
        ("deploy --tags=engine --tags=model", "--tags is given twice", "--tags A,B"),
        ("deploy --hosts a -H b", "-H is given twice", "give it once"),
        ("deploy --forks 1 model --forks 2 --forks 3", "--forks is given twice", "give it once"),
    ],
)
def test_an_option_that_is_given_twice_is_refused_and_its_value_is_never_a_task(given, said, hint):
    """Invoke would run ``model`` for real, whatever option of ``deploy`` says to write nothing."""
    with pytest.raises(Exit) as caught, usage_errors("./inv"):
        check_values(given.split(), tagged())
    assert caught.value.code == 2
    assert said in str(caught.value) and hint in str(caught.value)


@pytest.mark.parametrize("given", ["deploy --check model", "model deploy --check"])
def test_a_task_beside_one_that_only_predicts_does_not_run_for_real(given):
    with pytest.raises(Exit) as caught, usage_errors("./inv"):
        check_values(given.split(), tagged())
    assert "would run for real: --check is deploy's" in str(caught.value)
    assert "--tags model --check" in str(caught.value)


def test_several_tasks_may_predict_or_none_of_them():
    lines = ("deploy --check model --check", "deploy model", "deploy --check --tags model")
    for line in (*lines, "plan deploy", "plan model --check"):
        check_values(line.split(), tagged())


def test_an_option_may_be_given_to_several_tasks_and_a_list_several_times():
    line = "deploy --forks 1 --set a.b=1 --set a.c=2 model --forks 2"
    check_values(line.split(), tagged())
    check_values(["deploy", "--hosts", "model", "--forks", "1"], tagged())


@pytest.mark.parametrize("given", [["--hosts", ""], ["--hosts="], ["--tags", ""], ["--tags="]])
def test_an_empty_choice_of_hosts_or_roles_is_not_taken_for_the_default(given):
    with pytest.raises(ParseError, match=f"{given[0].rstrip('=')} is empty"):
        check_values(["deploy", *given], tagged())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("5", 5), ("30s", 30), ("10m", 600), ("1h", 3600), ("1.5m", 90), (" 2s ", 2)],
)
def test_a_duration_is_a_number_with_a_unit(text, seconds):
    assert Flags(lock_wait=text).lock_wait_seconds == seconds


@pytest.mark.parametrize("text", ["", "m", "-1", "10 m", "1d", "ten", "1e3", "1m30s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ConfigError, match="not a duration"):
        _ = Flags(lock_wait=text).lock_wait_seconds


@pytest.mark.parametrize(
    ("tags", "skip", "chosen"),
    [
        ("", "", list(ROLES)),
        ("engine,system", "", ["system", "engine"]),
        ("", "python", ["system", "model", "engine"]),
        ("engine, model", "model", ["engine"]),
        (",engine,", "", ["engine"]),
    ],
)
def test_tags_choose_roles_in_the_order_of_the_deploy(tags, skip, chosen):
    assert choose_roles(ROLES, Flags(tags=tags, skip_tags=skip)) == chosen


def test_an_unknown_tag_is_refused_with_the_nearest_role():
    for flags in (Flags(tags="enigne"), Flags(skip_tags="enigne")):
        with pytest.raises(ConfigError, match="no role enigne") as caught:
            choose_roles(ROLES, flags)
        assert caught.value.hint == "did you mean engine?"


def test_tags_of_nothing_but_commas_are_refused():
    with pytest.raises(ConfigError, match="--skip-tags ',' names no role"):
        choose_roles(ROLES, Flags(skip_tags=","))


def test_tags_that_leave_nothing_are_refused():
    with pytest.raises(ConfigError, match="leave no role"):
        choose_roles(ROLES, Flags(tags="engine", skip_tags="engine"))


def test_flags_come_from_a_tasks_arguments():
    arguments = {"_": invoke.Context(), "check": True, "set": ["a.b=1"], "other": 3}
    assert from_arguments(arguments) == Flags(check=True, set=["a.b=1"])


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("chta", "there is no task chta\n  next: did you mean chat?"),
        ("status more", "there is no task more\n  next: ./inv --list"),
        ("deploy --chek", "deploy has no option --chek\n  next: did you mean --check?"),
        ("--check deploy", "--check is an option of tasks\n  next: write it behind the task"),
        ("chat --question what is", "chat takes one text, and 'is' is a second\n  next: quote it"),
        ("deploy -H x", "-H is fabric's option\n  next: ./fab -H NAME TASK"),
        ("why --resource", "--resource needs a value and was given none\n  next: ./inv --list"),
    ],
)
def test_a_mistake_in_typing_is_named_with_what_to_type(typed: str, said: str) -> None:
    tasks = {str(context.name): context for context in contexts()}
    with pytest.raises(Exit) as refused, usage_errors("./inv", typed.split(), tasks, {"chat"}):
        Parser(contexts=list(tasks.values())).parse_argv(typed.split())
    assert refused.value.code == 2
    assert str(refused.value.message).startswith(f"error: {said}")


def test_a_command_that_is_named_reaches_the_host_as_this_one_does() -> None:
    by_inv = Flags(inventory="other place")
    assert by_inv.command("chat", "Why?", hosts="") == "./inv chat 'Why?' --inventory 'other place'"
    by_fab = Flags(fab_hosts=("h1", "h2"), login=Login(key_files=("/k",)))
    assert by_fab.command("status", hosts="h1", set=["a.b=1 2"]) == (
        "./fab -i /k -H h1 status --set 'a.b=1 2'"
    )
