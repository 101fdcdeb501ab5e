import hashlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from rolecall.resources.artifact import Artifact
from rolecall.shell import quote
from rolecall.testing import KillableTarget, Result
from tests.support import converge, converge_killed, destroy, settled


@pytest.fixture
def root(tmp_path):
    return tmp_path / "artifacts"


def artifact(root, build, **how):
    return Artifact("model", str(root), (("source", "s"),), build, **how)


# $KEEP


def test_what_a_build_keeps_is_there_for_its_next_attempt(root, home, shell, tmp_path):
    ready = tmp_path / "ready"
    built = artifact(
        root,
        'echo piece >>"$KEEP/piece"\n[ -e "$READY" ]\nln "$KEEP/piece" "$OUT/result"',
        variables=(("READY", str(ready)),),
    )
    for _ in range(2):
        assert converge([built], home, shell=shell).outcomes == {built.id: "failed"}
        assert not Path(built.path).exists()
    ready.touch()
    assert converge([built], home, shell=shell).outcomes == {built.id: "changed"}
    assert Path(built.path, "result").read_text() == "piece\n" * 3
    assert sorted(path.name for path in (root / "model").iterdir()) == sorted(
        [built.digest, "current"]
    )
    settled([built], home, shell)


def test_what_a_killed_build_kept_is_there_for_its_next_attempt(root, home, tmp_path):
    begun = tmp_path / "begun"
    built = artifact(
        root,
        f'[ -e "$KEEP/piece" ] || {{ echo kept >"$KEEP/piece"; : >{quote(str(begun))}\n'
        'sleep 60; }\nmv "$KEEP/piece" "$OUT/result"',
    )
    assert converge_killed([built], home, begun.exists)
    assert converge([built], home).outcomes == {built.id: "changed"}
    assert Path(built.path, "result").read_text() == "kept\n"


def test_another_input_keeps_for_itself(root, home):
    one = artifact(root, 'echo x >"$KEEP/piece"; false')
    other = Artifact("model", str(root), (("source", "t"),), '! ls "$KEEP/piece" && : >result')
    converge([one], home)
    assert converge([other], home).outcomes == {other.id: "changed"}


def test_a_failed_build_that_kept_nothing_leaves_nothing(root, home):
    assert converge([artifact(root, "false")], home).recap.failed
    assert not root.exists()


def test_destroy_takes_what_was_kept(root, home, tmp_path):
    ready = tmp_path / "ready"
    built = artifact(root, f': >"$KEEP/piece"\n: >result\n[ -e {quote(str(ready))} ]')
    converge([built], home)
    assert list((root / "model").glob(".kept-*"))
    destroy(built, home)
    assert not root.exists()


# $OLD and $SUMS


def test_a_damaged_version_lends_what_is_still_right(root, home, shell):
    build = (
        'if [ -n "$OLD" ]; then ln "$OLD/right" right; else echo right >right; fi\necho made >wrong'
    )
    built = artifact(root, build)
    converge([built], home, shell=shell)
    inode = Path(built.path, "right").stat().st_ino
    Path(built.path, "wrong").write_text("damaged")
    assert converge([built], home, shell=shell).outcomes == {built.id: "changed"}
    assert Path(built.path, "right").stat().st_ino == inode
    assert Path(built.path, "wrong").read_text() == "made\n"
    settled([built], home, shell)


def test_a_digest_that_the_build_worked_out_is_taken_over(root, home, shell):
    known = "f" * 64
    build = (
        "echo x >'a file'; echo y >ab; echo z >b\n"
        f'printf "%s %s\\n" {known} "$(stat -c "%s %Y %n" "./a file")" >"$SUMS"\n'
        f'printf "%s %s\\n" {known} "1 1 ./b" >>"$SUMS"'
    )
    built = artifact(root, build)
    converge([built], home, shell=shell)
    lines = Path(built.path, ".rolecall/files").read_text().splitlines()
    found = {line.split(" ./", 1)[1]: line.split(" ")[2] for line in lines}
    assert found["a file"] == known
    assert found["ab"] == hashlib.sha256(b"y\n").hexdigest()
    assert found["b"] == hashlib.sha256(b"z\n").hexdigest(), "what does not fit is of no account"
    settled([built], home, shell)


def test_what_a_build_notes_is_part_of_the_answer(root, home, shell):
    build = "echo x >result; printf 'commit=abc def\\nnot a note\\nsize=2\\n' >\"$NOTES\""
    built = artifact(root, build)
    converge([built], home, shell=shell)
    notes = Path(built.path, ".rolecall/notes").read_text()
    assert notes == "note.commit=abc def\nnote.size=2\n"
    settled([built], home, shell)


# Secrets


def test_a_secret_reaches_the_build_alone(root, home, shell, tmp_path):
    built = artifact(
        root,
        'cp "$TOKEN" copy\nstat -c %a "$TOKEN" "${TOKEN%/*}" "${TOKEN%/*/*}" >modes\n'
        'tr "\\0" "\\n" </proc/$$/cmdline >arguments\nenv >environment\n'
        f": >{quote(str(tmp_path / 'begun'))}; sleep 0.5",
        secrets=(("TOKEN", "it's $secret\\n"),),
    )
    arguments = []
    watch = threading.Thread(target=_watch, args=(tmp_path / "begun", arguments))
    watch.start()
    run = converge([built], home, shell=shell)
    watch.join()
    assert run.outcomes == {built.id: "changed"}
    made = Path(built.path)
    assert (made / "copy").read_text() == "it's $secret\\n"
    assert (made / "modes").read_text().split() == ["600", "700", "700"]
    (made / "copy").unlink()
    assert "$secret" not in run.text + repr(built) + "".join(arguments)
    assert not _holding(home, b"$secret")
    assert not _holding(root, b"$secret")


def _watch(begun: Path, arguments: list[str]) -> None:
    """All process arguments of the machine while the build runs."""
    deadline = time.monotonic() + 10
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    arguments.append(subprocess.run(["ps", "axww"], capture_output=True, text=True).stdout)


def test_a_secret_goes_when_the_build_fails(root, home):
    failing = artifact(root, "false", secrets=(("TOKEN", "hidden"),))
    converge([failing], home)
    assert not list(home.rglob("secrets"))
    assert not _holding(home, b"hidden")


def test_a_secret_goes_with_a_build_whose_controller_died(root, home, tmp_path):
    begun, end = tmp_path / "begun", tmp_path / "end"
    built = artifact(
        root,
        f": >{quote(str(begun))}; until [ -e {quote(str(end))} ]; do sleep 0.05; done\n"
        'wc -c <"$TOKEN" >result',
        secrets=(("TOKEN", "hidden"),),
    )
    target = KillableTarget()

    def controller_dies():
        for channel in target.channels:
            os.killpg(channel.pid, signal.SIGKILL)

    assert converge_killed([built], home, begun.exists, target=target, kill=controller_dies)
    assert list(home.glob("jobs/*/secrets/TOKEN"))
    end.touch()
    deadline = time.monotonic() + 20
    while not Path(built.path).exists() or list(home.glob("jobs/*/secrets")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert Path(built.path, "result").read_text().strip() == "6"
    assert not _holding(home, b"hidden")


def _holding(folder: Path, text: bytes) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if text in path.read_bytes()]


def test_another_secret_is_the_same_artifact(root):
    one, other = (artifact(root, ":", secrets=(("TOKEN", text),)) for text in ("a", "b"))
    assert one.digest == other.digest


# Links


def test_links_can_be_compared_by_what_they_lead_to(root, home, shell, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("weights")
    os.utime(outside, (5, 5))
    build = f"ln -s {quote(str(outside))} link"
    built = artifact(root, build, follow_links=True)
    converge([built], home, shell=shell)
    sha256 = hashlib.sha256(b"weights").hexdigest()
    assert f"7 5 {sha256} ./link\n" == Path(built.path, ".rolecall/files").read_text()
    settled([built], home, shell)
    outside.write_text("changed")
    assert converge([built], home, check=True, shell=shell).outcomes == {built.id: "would change"}
    outside.unlink()
    assert converge([built], home, check=True, shell=shell).outcomes == {built.id: "would change"}


# --verify-hashes


def flip(path: Path) -> None:
    """Change a byte and leave size and time as they were."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_damage_that_size_and_time_do_not_show_is_found_by_the_hash(root, home, shell):
    build = "mkdir 'a b'; echo one >'a b/one'; echo two >two; ln -s two link; : >'back\\slash'"
    built = artifact(root, build)
    converge([built], home, shell=shell)
    thorough = built.thorough()
    settled([thorough], home, shell)
    flip(Path(built.path, "a b/one"))
    settled([built], home, shell)
    predicted = converge([thorough], home, check=True, shell=shell)
    assert predicted.outcomes == {built.id: "would change"}
    changes = {change.field: change.before for change in predicted.done[built.id].changes}
    assert changes["hashes"].split() == ["differ:", "a", "b/one"]
    repaired: Result = converge([thorough], home, shell=shell)
    assert repaired.outcomes == {built.id: "changed"}
    assert Path(built.path, "a b/one").read_text() == "one\n"
    settled([thorough], home, shell)


def test_a_thorough_run_builds_what_is_not_there(root, home, shell):
    built = artifact(root, "echo x >result").thorough()
    assert converge([built], home, shell=shell).outcomes == {built.id: "changed"}
    settled([built], home, shell)
