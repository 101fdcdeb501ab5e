from __future__ import annotations

from rolecall.output.changes import FIELDS, NEW_LINES, folded, shown
from rolecall.output.text import Charset
from rolecall.resource import Change
from tests.unit.output.support import DIGEST, MODE, OTHER

UTF8 = Charset.of("utf-8")


def line(change: Change, *, full: bool = False) -> str:
    shows, _ = shown([change], UTF8, full=full)
    return shows[0].line(UTF8)


def test_a_change_reads_field_before_after() -> None:
    assert line(MODE) == "mode: 644 → 600"


def test_what_was_not_there_has_no_before() -> None:
    assert line(Change("mode", None, "600")) == "mode: 600"


def test_what_goes_becomes_nothing() -> None:
    assert line(Change("link", "a", None)) == "link: a → nothing"


def test_masked_values_are_shown_once() -> None:
    assert line(Change("sha256", "********", "********")) == "sha256: ********"


def test_digests_are_short_even_when_all_is_asked_for() -> None:
    assert line(Change("sha256", DIGEST, OTHER)) == "sha256: 01234567… → fedcba98…"
    assert line(Change("image", None, f"sha256:{DIGEST}"), full=True) == "image: sha256:01234567…"


def test_long_values_show_where_they_differ() -> None:
    common = "x" * 200
    text = line(Change("args", f"{common}OLD{common}", f"{common}NEW{common}"))
    assert "OLD" in text
    assert "NEW" in text
    assert len(text) < 140


def test_long_values_are_whole_when_all_is_asked_for() -> None:
    assert line(Change("args", "a", "x" * 300), full=True) == f"args: a → {'x' * 300}"


def test_of_several_lines_the_first_that_differs_is_shown() -> None:
    assert line(Change("unit", "same\nold\nend", "same\nnew\nend")) == (
        "unit: old (+2 lines) → new (+2 lines)"
    )


def test_blanks_at_the_ends_are_visible() -> None:
    assert line(Change("value", "", " a")) == 'value: "" → " a"'


def test_values_cannot_carry_escape_sequences() -> None:
    assert line(Change("said", "a", "\x1b[31mred\x07")) == "said: a → red\\x07"


def test_many_fields_are_folded() -> None:
    changes = [Change(f"f{i}", "a", "b") for i in range(FIELDS + 5)]
    shows, more = shown(changes, UTF8)
    assert (len(shows), more) == (FIELDS, 5)
    assert shown(changes, UTF8, full=True)[1] == 0


def test_beside_the_text_itself_its_digest_is_left_out() -> None:
    shows, _ = shown([Change("sha256", DIGEST, OTHER), MODE], UTF8, diffed=True)
    assert [show.field for show in shows] == ["mode"]


def test_the_digest_stays_where_it_is_all_there_is() -> None:
    shows, _ = shown([Change("sha256", DIGEST, OTHER)], UTF8, diffed=True)
    assert [show.field for show in shows] == ["sha256"]


def new(path: str, size: int) -> tuple[str, tuple[str, ...]]:
    return path, (f"@@ -0,0 +1,{size} @@", *(f"+{n}" for n in range(size)))


EDITED = ("/etc/x", ("@@ -1 +1 @@", "-old", "+new"))


def test_a_short_new_text_is_shown() -> None:
    assert folded([new("/a", NEW_LINES)]) == ([new("/a", NEW_LINES)], "")


def test_long_new_texts_are_counted_and_what_differs_is_shown() -> None:
    texts = [new("/a", NEW_LINES), EDITED, new("/b", 3)]
    assert folded(texts) == ([EDITED], f"2 files: new, {NEW_LINES + 3} lines; -v shows them")
    assert folded([new("/a", 90)]) == ([], "/a: new, 90 lines; -v shows them")


def test_all_texts_are_shown_to_whoever_asks() -> None:
    assert folded([new("/a", 90), EDITED], full=True) == ([new("/a", 90), EDITED], "")
