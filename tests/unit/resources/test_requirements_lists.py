"""Reading lists of pinned and hashed Python packages."""

import pytest

from rolecall.errors import ConfigError
from rolecall.resources.python_packages import Pin, PythonPackages, pins

HASH = f"--hash=sha256:{'0' * 64}"


def read(text: str) -> list[Pin]:
    return list(pins(text))


def test_the_lines_of_a_lock_file_are_read():
    text = f"""
# made by uv pip compile
--index-url https://example.org/simple
annotated-types==0.7.0 \\
    {HASH} \\
    --hash=sha512:{"1" * 128}
    # via pydantic
Foo.Bar_baz[extra,other] == 2.0+cpu ; python_version < "3.11" and sys_platform != 'win32' \\
    {HASH}
"""
    assert read(text) == [
        Pin("annotated-types", "0.7.0", "", (f"sha256:{'0' * 64}", f"sha512:{'1' * 128}")),
        Pin(
            "foo-bar-baz",
            "2.0+cpu",
            "python_version < \"3.11\" and sys_platform != 'win32'",
            (f"sha256:{'0' * 64}",),
        ),
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"a>=1.0 {HASH}", "line 2: not pinned"),
        (f"a {HASH}", "line 2: not pinned"),
        (f"a==1.* {HASH}", "line 2: not pinned"),
        (f"a==1.0,<2 {HASH}", "line 2: not pinned"),
        (f"a @ https://example.org/a.whl {HASH}", "line 2: not pinned"),
        (f"./a.whl {HASH}", "line 2: not pinned"),
        ("a==1.0", "line 2: a has no hash"),
        ("a==1.0 --hash=md5:abc", "line 2: a has an unusable hash md5:abc"),
        ("a==1.0 --hash=sha256:abc", "unusable hash"),
        ("-r other.txt", "line 2: the option -r"),
        ("-e .", "line 2: the option -e"),
        ("--trusted-host example.org", "line 2: the option --trusted-host"),
    ],
)
def test_what_is_not_pinned_and_hashed_is_refused_with_its_line(line, words):
    with pytest.raises(ConfigError, match=words):
        PythonPackages("/venv/x", f"ok==1.0 {HASH}\n{line}\n")


def test_a_list_without_packages_is_refused():
    with pytest.raises(ConfigError, match="names no package"):
        PythonPackages("/venv/x", "# nothing\n")


def test_each_package_is_a_field_so_that_a_change_reads_as_one():
    packages = PythonPackages("/venv/x", f"b==2.0 {HASH}\nA_a==1.0 {HASH}\n")
    assert packages.desired() == {"b": "2.0", "a-a": "1.0", "complete": "yes"}


def test_versions_that_depend_on_the_host_are_all_allowed_and_the_markers_noted():
    old = f"a==1.0 ; python_version < '3.11' {HASH}\n"
    packages = PythonPackages("/venv/x", old + f"a==2.0 ; python_version >= '3.11' {HASH}\n")
    desired = packages.desired()
    assert desired["a"] == "1.0|2.0"
    assert len(desired["markers"]) == 16
    other = PythonPackages("/venv/x", old + f"a==2.0 ; python_version >= '3.12' {HASH}\n")
    assert other.desired()["markers"] != desired["markers"]
