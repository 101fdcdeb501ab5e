from __future__ import annotations

import pytest

from rolecall.output.text import LONGEST, Charset, clean, count, duration, gist


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b]0;new title\x07text", "text"),
        ("\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;bm8=", ""),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("\x9b31mC1\x9b0m", "C1"),
        ("\x1bcreset", "reset"),
        ("\x1b(0line drawing", "line drawing"),
        ("bell\x07", "bell\\x07"),
        ("lone escape \x1b", "lone escape \\x1b"),
        ("12 %\r57 %\r100 %\r", "100 %"),
        ("windows\r", "windows"),
        ("a\tb", "a   b"),
        ("two\nlines", "two\\nlines"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("caf\udce9", "caf\\xe9"),
        ("naïve 日本 👩\u200d💻", "naïve 日本 👩\u200d💻"),
    ],
)
def test_a_line_is_shown_without_what_a_terminal_would_obey(printed: str, shown: str) -> None:
    assert clean(printed) == shown


def test_a_very_long_line_is_cut() -> None:
    assert len(clean("x" * 1_000_000)) == LONGEST


def test_signs_fall_back_where_the_encoding_has_none() -> None:
    charset = Charset.of("ascii")
    assert (charset.arrow, charset.mark("changed")) == ("->", "*")
    assert charset.text("Größe →") == "Gr\\xf6\\xdfe \\u2192"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "no-such-encoding", None])
def test_every_sign_is_encodable_in_any_encoding(encoding: str | None) -> None:
    charset = Charset.of(encoding)
    signs = charset.arrow + charset.ellipsis + "".join(charset.bar) + charset.rule
    (signs + charset.spinner + charset.marks).encode(charset.encoding)


def test_text_is_clipped_in_its_middle() -> None:
    assert Charset.of("utf-8").clip("file:/very/long/path", 9) == "file…path"
    assert Charset.of("utf-8").clip("short", 9) == "short"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.31, "0.3 s"), (9.96, "10 s"), (59.4, "59 s"), (185, "3 min 05 s"), (3725, "1 h 02 min")],
)
def test_durations_have_the_unit_that_reads_best(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_count_has_its_plural() -> None:
    assert (count(1, "round trip"), count(0, "round trip")) == ("1 round trip", "0 round trips")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("its apply ended with status 1", "its apply ended with status 1"),
        ("its apply ended with status 1\nhm\nerror: no disk\n  next: buy", "no disk"),
        ("refused\nfor two\nreasons", "refused"),
    ],
)
def test_the_gist_of_a_failure_is_what_the_step_said(reason: str, said: str) -> None:
    assert gist(reason) == said
