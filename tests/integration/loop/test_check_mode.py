import itertools

import pytest
from pydantic import SecretStr

from rolecall.resource import Refuse, Skip
from rolecall.resources.command import Command
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from rolecall.settings import Settings
from tests.integration.loop.acts import Act, exists, makes
from tests.support import converge, tree_digest


def test_check_writes_nothing_on_the_host(tmp_path, home, shell):
    host = tmp_path / "host"
    host.mkdir()
    resources = [
        File(str(host / "a"), "x"),
        Directory(str(host / "d")),
        makes(host / "b"),
        Command("c", f": >'{host}/c'", creates=str(host / "c")),
    ]
    before = tree_digest(host)
    run = converge(resources, home, check=True, shell=shell, diff=True)
    assert tree_digest(host) == before
    assert not home.exists(), "not even Rolecall's own directory"
    assert run.outcomes[resources[0].id] == "would change"
    assert not run.output


def test_check_leaves_an_existing_home_as_it_is(tmp_path, home, shell):
    converge([makes(tmp_path / "a")], home, shell=shell)
    before = tree_digest(home)
    converge([makes(tmp_path / "a"), makes(tmp_path / "b")], home, check=True, shell=shell)
    assert tree_digest(home) == before


def test_what_an_earlier_change_may_write_is_unknown_until_it_is_made(tmp_path, home, shell):
    opaque = makes(tmp_path / "a")
    file = File(str(tmp_path / "b"), "x")
    run = converge([opaque, file], home, check=True, shell=shell)
    assert run.done[file.id].outcome == "unknown until"
    assert run.done[file.id].reason == opaque.id


def test_what_no_earlier_change_writes_is_known(tmp_path, home, shell):
    exact = makes(tmp_path / "a", writing=frozenset({str(tmp_path / "a")}))
    met, unmet = File(str(tmp_path / "met"), "x"), File(str(tmp_path / "unmet"), "x")
    converge([met], home, shell=shell)
    run = converge([exact, met, unmet], home, check=True, shell=shell)
    assert run.outcomes == {exact.id: "would change", met.id: "ok", unmet.id: "would change"}


def test_a_refused_change_is_predicted_to_fail_and_to_stop_the_run(tmp_path, home, shell):
    refused = Act("refused", "echo done=no", Refuse("no way", "other way"), writing=frozenset())
    after = makes(tmp_path / "after")
    run = converge([refused, after], home, check=True, shell=shell)
    assert run.outcomes == {refused.id: "failed", after.id: "skipped"}
    assert run.reason(refused) == "no way\nother way"


def test_a_skip_is_predicted_too(home):
    assert converge([Skip("x", "why")], home, check=True).outcomes == {"x": "skipped"}


def test_diff_shows_the_lines_that_change(tmp_path, home, shell):
    (tmp_path / "a").write_text("one\ntwo\nthree\n")
    file = File(str(tmp_path / "a"), "one\n2\nthree\n")
    (shown,) = converge([file], home, check=True, shell=shell, diff=True).diffs
    assert shown.path == file.path
    assert [line for line in shown.lines if line[0] in "+-"] == ["-two", "+2"]


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (b"a\nb\n", b"a\r\nb\n", ["-a", "+a^M", " b"]),
        (b"a\n", b"a", ["-a", "+a", "\\ No newline at end of file"]),
        (b"a", b"a\nb\n", ["-a", "\\ No newline at end of file", "+a", "+b"]),
        (b"a\n\n\n", b"a\n", [" a", "-", "-"]),
        (b"", b"a\n", ["+a"]),
        (b"\xe9\nb\n", b"\xe9\nc\n", [" \udce9", "-b", "+c"]),
        (b"a\x0cb\x85\n", b"a\x0cc\x85\n", ["-a\x0cb\udc85", "+a\x0cc\udc85"]),
    ],
    ids=["line ends", "end taken", "end given", "blank lines", "new lines", "latin", "controls"],
)
def test_diff_shows_whatever_differs(tmp_path, home, shell, before, after, lines):
    (tmp_path / "a").write_bytes(before)
    file = File(str(tmp_path / "a"), after)
    (shown,) = converge([file], home, check=True, shell=shell, diff=True).diffs
    assert shown.lines[0].startswith("@@ ")
    assert list(shown.lines[1:]) == lines


LONG = b"a line of text\n" * 20_000


@pytest.mark.parametrize(
    ("before", "after", "remark"),
    [
        (b"a\n", b"a\0", "(not text: not shown)"),
        (b"a\0", b"a\n", "(not text: not shown)"),
        (LONG, LONG + b"one more\n", "(longer than 256 KiB: not shown)"),
        (LONG, b"short\n", "(longer than 256 KiB: not shown)"),
    ],
    ids=["binary", "was binary", "long", "was long"],
)
def test_what_a_diff_cannot_show_is_said_in_one_line(tmp_path, home, shell, before, after, remark):
    (tmp_path / "a").write_bytes(before)
    file = File(str(tmp_path / "a"), after)
    (shown,) = converge([file], home, check=True, shell=shell, diff=True).diffs
    assert shown.lines == (remark,)


class Access(Settings):
    token: SecretStr = SecretStr("the-new-secret")


def test_a_diff_does_not_show_the_secret_that_was_there_before(tmp_path, home, shell):
    (tmp_path / "a").write_text("token=the-old-secret\n")
    file = File(str(tmp_path / "a"), "token=the-new-secret\n")
    run = converge([file], home, check=True, shell=shell, diff=True, settings={"a": Access()})
    assert [shown.lines for shown in run.diffs] == [("(it holds a secret: not shown)",)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_whatever_check_calls_ok_the_run_does_not_change(tmp_path, home, order):
    """Four resources that step on each other's toes, in every order."""
    a, b, c, d = (tmp_path / name for name in "abcd")
    resources = [
        File(str(a), "a\n"),
        Act("b follows a", f"{exists(b)}; cat '{a}' 2>/dev/null", f"cp '{a}' '{b}' || : >'{b}'"),
        Command("c", f"rm -f '{a}'; : >'{c}'", creates=str(c)),
        makes(d, writing=frozenset({str(d)}), reading=frozenset({str(d)})),
    ]
    chosen = [resources[index] for index in order]
    for _ in range(3):
        predicted = converge(chosen, home, check=True).outcomes
        actual = converge(chosen, home).outcomes
        for id_, said in predicted.items():
            if said == "ok":
                assert actual[id_] == "ok", (id_, predicted, actual)
            elif said == "would change":
                assert actual[id_] == "changed", (id_, predicted, actual)
