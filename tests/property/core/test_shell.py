import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall.loop.scripts import dialect
from rolecall.resource import Observed, answer_lines, diff
from rolecall.shell import decode, emit, encode, escape, quote, unescape

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
AWKWARD = st.text("\\n'\"$` \n\tab=;é")


def sh(script: str) -> bytes:
    return subprocess.run(["/bin/sh"], input=encode(script), capture_output=True, check=True).stdout


@given(TEXT | AWKWARD)
def test_escape_folds_onto_one_line_and_back(text):
    assert "\n" not in escape(text)
    assert unescape(escape(text)) == text


@given(st.binary())
def test_bytes_survive_as_text(data):
    assert encode(decode(data)) == data


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXT | AWKWARD, min_size=1, max_size=20))
def test_a_quoted_value_reaches_the_shell_as_it_is(values):
    script = "\n".join(f"printf '%s\\0' {quote(value)}" for value in values)
    assert sh(script) == b"".join(encode(value) + b"\0" for value in values)


@settings(max_examples=40, deadline=None)
@given(st.binary() | AWKWARD.map(str.encode))
def test_emitted_content_is_exact(content):
    assert sh(emit(content)) == content


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text("abc.", min_size=1), TEXT | AWKWARD, min_size=1, max_size=6))
def test_the_host_and_the_controller_judge_an_answer_alike(fields):
    fields = {name: value.rstrip("\n") for name, value in fields.items()}
    opening = dialect("@@m", "/nowhere", "r", "w", is_root=True).opening()
    tell = "\n".join(f"rc_field {quote(name)} {quote(value)}" for name, value in fields.items())
    lines = " ".join(quote(line) for line in answer_lines(fields))
    judge = f'rc_got=$({tell})\nprintf "%s\\n" "$rc_got"\nrc_has "$rc_got" {lines} && echo agreed'
    *answer, verdict, _ = decode(sh(f"{opening}\n{judge}\n")).split("\n")
    assert verdict == "agreed"
    assert diff(fields, Observed.parse("\n".join(answer))) == ()
