import pytest

from rolecall.loop.plan import Step, predict, probe_trouble
from rolecall.loop.scripts import Privilege, dialect
from rolecall.resource import Change, Observed, Refuse, answer_lines, diff, opaque, overlap
from tests.integration.loop.acts import Act


def claims(*names):
    return frozenset(names)


@pytest.mark.parametrize(
    ("reads", "writes", "touched"),
    [
        (("/a",), ("/a",), ("/a",)),
        (("/a",), ("/b",), ()),
        (("/a/**",), ("/a/b",), ("/a/b",)),
        (("/a/**",), ("/a",), ("/a",)),
        (("/a/**",), ("/ab",), ()),
        (("/a/b",), ("/a/**",), ("/a/**",)),
        (("/a/b/**",), ("/a/**",), ("/a/**",)),
        (("/a/**",), ("/a/b/**",), ("/a/b/**",)),
        (("/a",), ("/a/b",), ()),
        (("**",), ("/a",), ("/a",)),
        (("/a",), ("**",), ("**",)),
        (("package:x",), ("package:x", "/a"), ("package:x",)),
        ((), ("**",), ()),
        (("**",), (), ()),
        (("/b",), ("/**",), ("/**",)),
    ],
)
def test_a_claim_touches_what_it_covers(reads, writes, touched):
    assert overlap(claims(*reads), claims(*writes)) == claims(*touched)


def test_a_claim_is_opaque_when_it_covers_more_than_one_thing():
    assert opaque(claims("/a", "/b/**")) and opaque(claims("**"))
    assert not opaque(claims("/a", "package:x")) and not opaque(claims())


def test_an_answer_is_fields_and_noise():
    observed = Observed.parse("a=1\nwarning: no\nb=x=y\n\n =odd\nc=two\\nlines\n=none\n")
    assert observed.fields == {"a": "1", "b": "x=y", "c": "two\nlines"}
    assert observed.noise == ("warning: no", " =odd", "=none")
    assert (observed.get("a"), observed.get("z"), observed.get("z", "d")) == ("1", "", "d")


def test_diff_holds_every_desired_field_that_differs_in_order():
    observed = Observed.parse("b=1\nc=old\nextra=9")
    assert diff({"c": "new", "b": "1", "a": "x"}, observed) == (
        Change("c", "old", "new"),
        Change("a", None, "x"),
    )
    assert diff({"b": "1"}, observed) == ()


def test_the_lines_of_a_satisfied_answer_are_its_fields():
    assert answer_lines({"a": "1", "b": "x\ny\\"}) == ["a=1", "b=x\\ny\\\\"]


def step(number, title, **how):
    return Step(number, "role", Act(title, "", **how))


YES, NO = Observed.parse("done=yes"), Observed.parse("done=no")


def outcomes(steps, *answers):
    predictions = predict(steps, dict(enumerate(answers)))
    return [predictions[number].outcome for number in range(len(steps))]


def test_prediction_of_satisfied_and_unmet_resources():
    exact = {"writing": claims("/x"), "reading": claims("/x")}
    other = {"writing": claims("/y"), "reading": claims("/y")}
    assert outcomes([step(0, "a"), step(1, "b")], YES, YES) == ["ok", "ok"]
    assert outcomes([step(0, "a", **exact), step(1, "b", **other)], NO, YES) == [
        "would change",
        "ok",
    ]
    assert outcomes([step(0, "a", **exact), step(1, "b", **exact)], NO, YES)[1] == "unknown until"
    assert outcomes([step(0, "a", **exact), step(1, "b", **exact)], NO, NO)[1] == "would change"
    assert outcomes([step(0, "a"), step(1, "b")], NO, NO)[1] == "unknown until"


def test_what_depends_on_something_unknown_is_unknown_itself():
    steps = [
        step(0, "a", writing=claims("/a")),
        step(1, "b", reading=claims("/a"), writing=claims("/b")),
        step(2, "c", reading=claims("/b")),
    ]
    assert outcomes(steps, NO, YES, YES) == ["would change", "unknown until", "unknown until"]


def test_after_what_would_fail_everything_is_skipped():
    refused = step(0, "a", does=Refuse("no"), writing=claims())
    assert outcomes([refused, step(1, "b")], NO, YES) == ["failed", "skipped"]
    assert outcomes([step(0, "a"), step(1, "b")], Observed.parse("junk"), YES) == [
        "failed",
        "skipped",
    ]


def test_a_probe_that_broke_says_what_it_printed_unless_that_is_secret():
    act = Act("a", "")
    assert probe_trouble(act, YES) is None
    assert "junk" in probe_trouble(act, Observed.parse("junk")).reason
    assert "printed nothing" in probe_trouble(act, Observed.parse("")).reason
    secret = Act("a", "", secret=True)
    assert "junk" not in probe_trouble(secret, Observed.parse("junk")).reason


def test_no_content_ends_what_is_sent_to_sudo_early():
    wrap = Privilege(is_root=False).wrap
    first = wrap("echo a", [], "")
    end = first.splitlines()[-1]
    second = wrap(f"printf %s '\n{end}\nrm -rf /\n'", [], "")
    assert second.splitlines()[-1] != end
    assert second.splitlines().count(second.splitlines()[-1]) == 1
    assert Privilege(is_root=True).wrap("echo a", [], "") == "echo a"


def test_the_home_of_the_user_is_the_hosts_to_expand():
    for home, word in (("~", '"$HOME"'), ("~/a b", "\"$HOME\"'/a b'"), ("/x;y", "'/x;y'")):
        variables = dialect("m", home, "r", "w", is_root=True).variables
        assert f"rc_home={word}" in variables.replace("\"$HOME\"''", '"$HOME"').splitlines()
