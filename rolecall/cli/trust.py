"""``trust``: look at the keys that hosts show, and accept them for the runs to come."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.cluster.target import ClusterTarget
from rolecall.errors import ConfigError, RolecallError
from rolecall.targets import Target
from rolecall.targets.hostkeys import Entry, Judgement, ShownKey, forget, refusal
from rolecall.targets.ssh import SshTarget

#: The user's own file, as ssh has it.
USER = Path("~/.ssh/known_hosts")


def trust(
    project: Project, flags: Flags, *, ask: bool, replace: bool = False, shared: bool = False
) -> bool:
    """Show the keys of each chosen host and of its jump hosts, and accept what is confirmed.

    A key goes to the inventory's own file, if that exists or ``shared`` begins it, else to the
    user's. A key that has changed is accepted only with ``replace``.

    Returns:
        Whether every key is known now; of a host where that went wrong, the user has been told.

    Raises:
        ConfigError: confirmation is needed and there is no terminal to ask on.
    """
    from rolecall.output.errors import present

    all_known = True
    unasked: list[str] = []
    for plan in project.host_plans(flags):
        target = plan.target
        if not isinstance(target, SshTarget):
            print(f"{target.name} is {_kind(target)}: there is no key to accept")
            continue
        attempt = _Attempt(target, _file(target, shared), ask, replace)
        try:
            all_known &= attempt.run()
        except RolecallError as error:
            all_known = False
            present(error)
        unasked += [attempt.trust] if attempt.unasked else []
    if unasked:
        raise ConfigError(
            "there is no terminal to confirm a fingerprint on",
            "compare it with the host's own, then: "
            + " && ".join(f"{command} --yes" for command in unasked[:3])
            + (" …" if unasked[3:] else ""),
        )
    return all_known


def _kind(target: Target) -> str:
    return "a cluster" if isinstance(target, ClusterTarget) else "this machine"


def _file(target: SshTarget, shared: bool) -> Path:
    """Where the key of a host is kept.

    Raises:
        ConfigError: ``shared``, and the inventory has no place for a file.
    """
    kept = target.kept_keys
    if shared and kept is None:
        raise ConfigError(
            "an inventory given as a list of hosts has no folder to keep a known_hosts file in",
            "leave --shared out: the key goes to ~/.ssh/known_hosts",
        )
    if kept and (shared or kept.exists()):
        return kept
    return USER.expanduser()


@dataclass
class _Attempt:
    """One host: its jump hosts, then itself."""

    target: SshTarget
    file: Path
    ask: bool
    replace: bool
    unasked: bool = False

    @property
    def trust(self) -> str:
        """The command that does this once more."""
        return self.target.trust

    def run(self) -> bool:
        """Whether all of its keys are known now.

        Raises:
            RolecallError: one cannot be had, has changed, was revoked, or cannot be kept.
        """
        for shown, known in self.target.shown_keys():
            judgement = known.judge(shown)
            if judgement.verdict == "known":
                where = judgement.entries[0].where
                print(f"{self._who(shown)} shows {shown.shown}, known already ({where})")
                continue
            if judgement.verdict == "revoked" or (
                judgement.verdict == "changed" and not self.replace
            ):
                raise refusal(self.target.name, shown, judgement, self.trust)
            if not self._confirmed(shown, judgement):
                return False
            self._accept(shown, judgement)
        return True

    def _who(self, shown: ShownKey) -> str:
        name = self.target.name
        return name if shown.name == name else f"{name} ({shown.name})"

    def _confirmed(self, shown: ShownKey, judgement: Judgement) -> bool:
        for entry in judgement.entries:
            print(f"{self._who(shown)} was known by {entry.shown} ({entry.where})")
        print(f"{self._who(shown)} shows {shown.shown}")
        if not self.ask:
            return True
        if not sys.stdin.isatty():
            self.unasked = True
            return False
        try:
            answer = input("Is that the host's own key? [y/N] ")
        except EOFError:
            answer = ""
        accepted = answer.strip().lower() in {"y", "yes"}
        if not accepted:
            print("not accepted")
        return accepted

    def _accept(self, shown: ShownKey, judgement: Judgement) -> None:
        try:
            shown.accept(self.file)
            kept = self._forget(judgement)
        except OSError as error:
            raise RolecallError(
                f"{error.filename or self.file} cannot be written: {error.strerror}",
                "make it writable for you",
            ) from error
        print(f"accepted, in {self.file}")
        for entry in kept:
            print(f"the old key is still accepted too, by {entry.where}: remove that line")

    @staticmethod
    def _forget(judgement: Judgement) -> list[Entry]:
        """Remove the lines of old keys; returns those that are not for us to remove.

        A pattern may stand for other hosts, and the system's files are the administrator's.
        """
        ours = [
            entry
            for entry in judgement.entries
            if entry.is_plain
            and all(os.access(p, os.W_OK) for p in (entry.path, entry.path.parent))
        ]
        forget(ours)
        return [entry for entry in judgement.entries if entry not in ours]
