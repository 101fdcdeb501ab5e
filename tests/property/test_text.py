"""Values survive the way to a shell and back, whatever they contain."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall.errors import ConfigError
from rolecall.loop.scripts import dialect
from rolecall.resource import Observed
from rolecall.shell import decode, emit, encode, escape, quote, unescape
from tests.property.strategies import values
from tests.support import SHELLS, find_shell


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("shells")


def run(shell: str, script: str) -> bytes:
    done = subprocess.run([shell], input=encode(script), capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout


@settings(database=None)
@given(st.text())
def test_escape_folds_onto_one_line_and_unescape_undoes_it(value):
    assert "\n" not in escape(value)
    assert unescape(escape(value)) == value


@settings(database=None)
@given(st.binary())
def test_bytes_that_are_no_text_survive_decoding_and_encoding(data):
    assert encode(decode(data)) == data


@pytest.mark.parametrize("shell", SHELLS)
def test_quoted_values_are_one_word_each(folder, shell):
    path = find_shell(shell, folder)

    @settings(max_examples=30, deadline=None, database=None)
    @given(st.lists(values, max_size=20))
    def check(items):
        script = f"for v in {' '.join(map(quote, items))}; do printf '%s\\0' \"$v\"; done\n"
        assert run(path, script) == b"".join(encode(item) + b"\0" for item in items)

    check()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_host_folds_values_as_the_controller_does(folder, shell):
    path = find_shell(shell, folder)
    prelude = dialect("@@mark", "/nowhere", "run", "who", is_root=True).opening()

    @settings(max_examples=30, deadline=None, database=None)
    @given(st.lists(values, max_size=20))
    def check(items):
        script = "\n".join(f"rc_field f{i} {quote(item)}" for i, item in enumerate(items))
        answer = Observed.parse(decode(run(path, f"{prelude}\n{script}\n")))
        assert answer.fields == {f"f{i}": item for i, item in enumerate(items)}
        assert answer.noise == ()

    check()


@pytest.mark.parametrize("shell", SHELLS)
def test_any_bytes_are_emitted_exactly(folder, shell):
    path = find_shell(shell, folder)

    @settings(max_examples=40, deadline=None, database=None)
    @given(st.binary(max_size=300) | values.map(encode))
    def check(data):
        assert run(path, f"{emit(data)}\n") == data

    check()


def test_a_nul_byte_is_refused_with_a_reason():
    with pytest.raises(ConfigError, match="NUL"):
        quote("a\0b")
