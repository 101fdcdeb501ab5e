"""What a resource refuses before any host is touched, and what it says it is."""

from pathlib import Path

import pytest

from rolecall.errors import ConfigError
from rolecall.resource import Observed, Refuse, Script
from rolecall.resources.absent import Absent
from rolecall.resources.archive import Extracted
from rolecall.resources.command import Command
from rolecall.resources.directory import Directory
from rolecall.resources.download import Download
from rolecall.resources.file import File
from rolecall.resources.git import GitCheckout
from rolecall.resources.package import Package
from rolecall.resources.symlink import Symlink
from rolecall.resources.template import Template
from rolecall.resources.venv import Venv

SHA = "a" * 64
COMMIT = "b" * 40


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: File("a", ""), "not an absolute path"),
        (lambda: File(Path("/a"), ""), "is not a text"),  # type: ignore[arg-type]
        (lambda: File("/a", None), "its content is a NoneType"),  # type: ignore[arg-type]
        (lambda: File("/a", "", mode="u+x"), "'u\\+x' is not octal digits"),
        (lambda: File("/a", "", mode="888"), "is not octal digits"),
        (lambda: File("/a", "", mode=0o644), "is not octal digits"),  # type: ignore[arg-type]
        (lambda: File("/a", "", owner=1000), "the owner 1000 is not a text"),  # type: ignore[arg-type]
        (lambda: Template("a", Path("b")), "not an absolute path"),
        (lambda: Template("/a", Path("b"), mode=""), "is not octal digits"),
        (lambda: Directory("/a", group=""), "the group '' is not a text"),
        (lambda: Directory("~/a"), "not an absolute path"),
        (lambda: Absent("/etc"), "too near the root"),
        (lambda: Absent("//etc"), "too near the root"),
        (lambda: Absent("/etc/../usr"), "too near the root"),
        (lambda: Command("x", "true"), "no condition"),
        (lambda: Command("x", "true", inputs=("/a",)), "belong together"),
        (lambda: Command("x", "true", inputs="/a", stamp="/b"), "inputs is one text"),  # type: ignore[arg-type]
        (lambda: Package("-oDebug::NoLocking=1"), "not the name of a package"),
        (lambda: Package("a b"), "not the name of a package"),
        (lambda: Package("a=1.0"), "not the name of a package"),
        (lambda: Package("a*"), "not the name of a package"),
        (lambda: Package("a", version="1 && x"), "is not a version"),
        (lambda: Package("a", version="1", state="absent"), "has no version"),
        (lambda: GitCheckout("/a/b", "https://example.org/x", "main"), "does not pin a commit"),
        (lambda: GitCheckout("/a/b", "https://example.org/x", "b" * 7), "does not pin a commit"),
        (lambda: GitCheckout("/a/b", "--upload-pack=x", COMMIT), "is not a repository"),
        (lambda: GitCheckout("/a/b", "ext::sh -c x", COMMIT), "names a remote helper"),
        (lambda: GitCheckout("/a/b", "https://u:p@example.org/x", COMMIT), "holds a password"),
        (lambda: Venv("/a/b", minimum="3"), "not a release of Python 3"),
        (lambda: Venv("/a/b", python="-c"), "not an interpreter"),
        (lambda: Download("https://example.org/x", "/a/b", "abc"), "is not a sha256"),
        (lambda: Download("ftp://example.org/x", "/a/b", SHA), "not an http, https or file"),
        (lambda: Download("https://example.org/a b", "/a/b", SHA), "not an http, https or file"),
        (lambda: Download("https://u:p@example.org/", "/a/b", SHA), "holds credentials"),
        (
            lambda: Download("https://example.org/", "/a/b", SHA, headers={"A": "x\r\nB: y"}),
            "not a usable header",
        ),
        (lambda: Extracted("/a/b.rar", "/a/c"), "no kind of archive that is known"),
        (lambda: Extracted("/a/b.tar", "/a/c", strip=-1), "strip cannot be negative"),
        (lambda: Extracted("/a/b.tar", "/a/c", sha256="abc"), "is not a sha256"),
    ],
)
def test_a_wrong_declaration_is_refused_with_the_reason(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_a_mode_that_is_a_number_is_refused_with_the_text_that_was_meant():
    with pytest.raises(ConfigError) as caught:
        File("/a", "", mode=0o640)  # type: ignore[arg-type]
    assert caught.value.hint == 'write mode="640"'


@pytest.mark.parametrize(
    ("written", "id_"),
    [
        (File("/a//b/../c/", ""), "file:/a/c"),
        (File("//a/c", ""), "file:/a/c"),
        (Symlink("/a/./b", "x"), "symlink:/a/b"),
        (Package("libc6:i386"), "package:libc6:i386"),
        (Venv("/a/venv/"), "venv:/a/venv"),
    ],
)
def test_one_place_has_one_id_however_it_is_written(written, id_):
    assert written.id == id_


def test_the_values_of_headers_show_nowhere():
    download = Download("https://example.org/x", "/a/b", SHA, headers={"Authorization": "hidden"})
    assert download.secret
    assert "hidden" not in repr(download)
    assert "hidden" not in repr(download.desired())
    assert "hidden" not in repr(download.probe())
    assert hash(download) == hash(Download("https://example.org/x", "/a/b", SHA, secret=True))


@pytest.mark.parametrize(
    ("tools", "headers", "chosen"),
    [
        ("curl python3 wget", {}, "rc_tool=curl"),
        ("python3 wget", {}, "rc_tool=wget"),
        ("python3 wget", {"Authorization": "x"}, "rc_tool=python3"),
        ("busybox", {}, "rc_tool=busybox"),
    ],
)
def test_the_tool_is_one_that_keeps_credentials_to_itself(tools, headers, chosen):
    download = Download("https://example.org/x", "/a/b", SHA, headers=headers)
    apply = download.apply(Observed.parse(f"type=absent\ntools={tools}"))
    assert isinstance(apply, Script)
    assert chosen in apply.text


@pytest.mark.parametrize("tools", ["wget", "busybox", ""])
def test_credentials_are_not_given_to_a_tool_that_would_show_them(tools):
    download = Download("https://example.org/x", "/a/b", SHA, headers={"Authorization": "x"})
    assert isinstance(download.apply(Observed.parse(f"type=absent\ntools={tools}")), Refuse)


def test_removal_is_only_of_what_was_not_there_before():
    there = Observed.parse("type=file\nstate=installed\nmanager=apt")
    absent = Observed.parse("type=absent\nstate=absent\nmanager=apt")
    for resource in (File("/a/b", ""), Package("a"), Venv("/a/b"), Extracted("/a/b.zip", "/a/c")):
        assert resource.removal(there) is None
        assert resource.removal(absent) is not None


def test_a_package_is_looked_up_without_root_and_changed_with_it():
    assert Package("a").sudo
    assert not Package("a").probe_sudo
