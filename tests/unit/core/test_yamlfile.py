import pytest

from rolecall.errors import ConfigError
from rolecall.yamlfile import SecretReference, read_yaml


def write(folder, text):
    path = folder / "file.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_key_has_its_line(tmp_path):
    path = write(tmp_path, "a: 1\nb:\n  c: 2\n  d:\n    e: [1, 2]\n")
    source = read_yaml(path)
    assert source.data == {"a": 1, "b": {"c": 2, "d": {"e": [1, 2]}}}
    assert source.where(("b", "d", "e")) == f"{path}:5"
    assert source.where(("b", "nothing")) == f"{path}:2"
    assert source.where(("nothing",)) == str(path)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_an_empty_file_is_an_empty_mapping(tmp_path, text):
    assert read_yaml(write(tmp_path, text)).data == {}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", ":3:1", "'a' stands twice"),
        ("a:\n  b: 1\n  b: 2\n", ":3:3", "'b' stands twice"),
        ("a: [1, 2\n", ":2:1", ""),
        ("a: 1\n b: 2\n", ":2:3", ""),
        ("a:\n\tb: 1\n", ":2:1", ""),
        ("a: 'open\n", ":2:1", ""),
        ("a: *nobody\n", ":1:4", "undefined alias"),
        ("a: !vault x\n", ":1:4", "unknown tag !vault"),
        ("a: !env [x]\n", ":1:4", "!env NAME"),
        ("a: 1\n---\nb: 2\n", ":2:1", "another document"),
        ("a:\n  b: 2026-02-30\n", ":2:6", "'2026-02-30' is no timestamp"),
        ("a: !!int x\n", ":1:4", "'x' is no int"),
        ("a: !!timestamp soon\n", ":1:4", "'soon' is no timestamp"),
        ("a: 1\nb: \x07\n", ":2", "U+0007 is not allowed"),
        ("a: &a\n  b: *a\n", "", "contains itself"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, text, place, words):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert caught.value.message.startswith(f"{path}{place}: ")
    assert words in caught.value.message


def test_a_tab_is_told_with_the_way_out(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_yaml(write(tmp_path, "a:\n\tb: 1\n"))
    assert caught.value.hint == "indent with spaces"


def test_a_file_that_is_not_text_or_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_yaml(write(tmp_path, b"a: \xff\n"))
    with pytest.raises(ConfigError, match="No such file"):
        read_yaml(tmp_path / "none")


def test_merge_keys_are_no_duplicates(tmp_path):
    text = "base: &base {a: 1, b: 2}\nmore:\n  <<: *base\n  b: 3\n"
    assert read_yaml(write(tmp_path, text)).data["more"] == {"a": 1, "b": 3}


def test_a_secret_is_a_reference_until_it_is_read(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("swordfish\n")
    monkeypatch.setenv("ROLECALL_TEST_TOKEN", "hunter2")
    text = f"a: !env ROLECALL_TEST_TOKEN\nb: !file {tmp_path}/token\n"
    data = read_yaml(write(tmp_path, text)).data
    assert data["a"] == SecretReference("env", "ROLECALL_TEST_TOKEN")
    assert (data["a"].read(), data["b"].read()) == ("hunter2", "swordfish")
    assert "hunter2" not in repr(data) and "swordfish" not in repr(data)
    assert str(data["b"]) == f"!file {tmp_path}/token"


def test_a_secret_file_that_cannot_be_read_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="No such file") as caught:
        SecretReference("file", str(tmp_path / "none")).read()
    assert "create the file" in caught.value.hint
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        SecretReference("file", str(tmp_path / "binary")).read()
