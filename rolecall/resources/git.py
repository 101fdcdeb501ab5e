"""A git checkout at one pinned commit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from rolecall.errors import ConfigError
from rolecall.resource import (
    Apply,
    Observed,
    Probe,
    Refuse,
    Removal,
    Resource,
    Script,
    ShellFunction,
)
from rolecall.resources.paths import beside, check_path
from rolecall.shell import quote, words

#: Present in ``.git`` while a checkout is being moved, so that a killed move is seen.
MARKER = "rolecall-moving"

# git never looks above PATH for a repository, never writes while it is only asked, and runs no
# code that the repository's configuration names.
_FUNCTION = ShellFunction(
    "rc_git_checkout",
    rf"""
rc_git() (
  unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_NAMESPACE GIT_COMMON_DIR
  rc_d=$1
  shift
  GIT_CEILING_DIRECTORIES=${{rc_d%/*}} git -C "$rc_d" --no-optional-locks \
    -c core.fsmonitor=false -c core.hooksPath=/dev/null "$@"
)
rc_git_checkout() {{
  if command -v git >/dev/null; then printf 'git=yes\n'; else
    printf 'git=no\n'
    if [ -e "$1/.git" ]; then printf 'state=unknown\n'; else printf 'state=absent\n'; fi
    return
  fi
  if [ -L "$1" ]; then printf 'state=symlink\n'; return; fi
  if [ ! -e "$1" ]; then printf 'state=absent\n'; return; fi
  if [ ! -d "$1/.git" ]; then
    if [ -d "$1" ] && [ -z "$(ls -A -- "$1")" ]; then printf 'state=empty\n'
    else printf 'state=other\n'; fi
    return
  fi
  if ! rc_said=$(rc_git "$1" rev-parse --git-dir 2>&1); then
    printf 'state=broken\n'
    rc_field said "$rc_said"
    return
  fi
  printf 'state=checkout\n'
  rc_field commit "$(rc_git "$1" rev-parse --verify --quiet 'HEAD^{{commit}}' 2>/dev/null)"
  rc_field repository "$(rc_git "$1" config --get remote.origin.url)"
  if [ -e "$1/.git/{MARKER}" ]; then printf 'complete=no\n'; else printf 'complete=yes\n'; fi
  if rc_said=$(rc_git "$1" status --porcelain --untracked-files=no 2>&1) && [ -z "$rc_said" ]; then
    printf 'clean=yes\n'
  else
    printf 'clean=no\n'
    rc_field modified "$(printf '%s\n' "$rc_said" | head -n 5)"
  fi
  if [ -f "$1/.git/info/sparse-checkout" ]; then
    rc_field folders "$(cat -- "$1/.git/info/sparse-checkout")"
  else
    printf 'folders=\n'
  fi
}}
""",
)

_COMMIT = re.compile(r"[0-9a-f]{40}")
_FOLDER = re.compile(r"[A-Za-z0-9_.][\w.+@ -]*(/[\w.+@ -]+)*", re.ASCII)


@dataclass(frozen=True)
class GitCheckout(Resource):
    """``path`` is a clean checkout of ``commit``, which ``repository`` has to offer.

    Only that commit is fetched where the server allows it. Changes made to tracked files are
    never overwritten unless ``force`` says so; untracked files are left alone. Submodules are
    not filled in.

    With ``pack``, a file on the host made by ``git pack-objects`` of all that the commit consists
    of, the repository is not asked.

    Attributes:
        folders: only these are checked out, and only their files are fetched where the server
            allows it (a partial clone, git 2.19); none is everything.
    """

    kind: ClassVar[str] = "git"

    path: str
    repository: str
    commit: str
    force: bool = False
    pack: str = ""
    folders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", check_path(self.path, self.kind))
        if not _COMMIT.fullmatch(self.commit):
            raise ConfigError(
                f"git {self.path}: {self.commit!r} does not pin a commit",
                "give the full commit: 40 hexadecimal digits, as git rev-parse prints them; a "
                "branch or a tag can move",
            )
        if not self.repository or self.repository.startswith("-") or "\n" in self.repository:
            raise ConfigError(f"git {self.path}: {self.repository!r} is not a repository")
        if "::" in self.repository.partition("/")[0]:
            raise ConfigError(
                f"git {self.path}: {self.repository!r} names a remote helper, which runs commands",
                "use https://, ssh://, git:// or file://",
            )
        for folder in self.folders:
            if not _FOLDER.fullmatch(folder) or ".." in folder.split("/"):
                raise ConfigError(
                    f"git {self.path}: {folder!r} is not a folder of a repository",
                    "give the path of a folder from the top of it, such as docs or src/lib",
                )
        if "://" in self.repository and urlsplit(self.repository).password is not None:
            raise ConfigError(
                f"git {self.path}: the address of the repository holds a password",
                "keep it in a git credential helper on the host, or use ssh with a key",
            )

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def probe(self) -> Probe:
        """The commit, whether it is clean, and where it comes from."""
        return Probe(_FUNCTION, (self.path,))

    def desired(self) -> Mapping[str, str]:
        """A complete, clean checkout of this commit from this repository."""
        return {
            "state": "checkout",
            "commit": self.commit,
            "repository": self.repository,
            "clean": "yes",
            "complete": "yes",
            "folders": "\n".join(self._patterns),
        }

    @property
    def _patterns(self) -> list[str]:
        """The lines of ``.git/info/sparse-checkout``."""
        return [f"/{folder}/" for folder in self.folders]

    def apply(self, observed: Observed) -> Apply:
        """Make it beside its place and rename it in, or move the checkout that is there."""
        if observed.get("git") != "yes":
            return Refuse(
                "git is not installed on the host", 'declare Package("git") in front of it'
            )
        state = observed.get("state")
        if state in {"absent", "empty"} or (self.force and state in {"broken", "other"}):
            return Script(self._functions() + self._create())
        if state != "checkout":
            said = f": {observed.get('said')}" if observed.get("said") else ""
            return Refuse(
                f"{self.path} is there, but it is not a usable git checkout{said}",
                "move it away, or set force=True to replace it",
            )
        if observed.get("clean") != "yes" and observed.get("complete") == "yes" and not self.force:
            return Refuse(
                f"{self.path} has local changes, which would be lost:\n{observed.get('modified')}",
                f"keep them elsewhere or drop them (git -C {self.path} stash), or set force=True",
            )
        careful = observed.get("complete") == "yes" and not self.force
        return Script(self._functions() + self._move(careful=careful))

    def _functions(self) -> str:
        return f"""{_FUNCTION.source}
GIT_TERMINAL_PROMPT=0
GIT_SSH_COMMAND=${{GIT_SSH_COMMAND:-ssh -oBatchMode=yes}}
export GIT_TERMINAL_PROMPT GIT_SSH_COMMAND
rc_commit={self.commit}
rc_path={quote(self.path)}
rc_missing={"--missing=allow-promisor" if self.folders else ""}
rc_pack={quote(self.pack)}
# rc_has_commit DIR: everything the commit needs is there.
rc_has_commit() {{
  rc_git "$1" cat-file -e "$rc_commit^{{commit}}" 2>/dev/null &&
    rc_git "$1" -c gc.auto=0 rev-list --objects --quiet --max-count=1 $rc_missing "$rc_commit" \\
      2>/dev/null
}}
# rc_sparse DIR: what is checked out from now on.
rc_sparse() {{
  {self._sparse()}
}}
# rc_unpack DIR: get the commit from the pack, without the history that came before it.
rc_unpack() {{
  [ -r "$rc_pack" ] || {{
    printf 'there is no pack %s to take commit %s from\\n' "$rc_pack" "$rc_commit"
    return 1
  }}
  rc_git "$1" index-pack --stdin <"$rc_pack" >/dev/null
  grep -qsxF "$rc_commit" "$1/.git/shallow" || printf '%s\\n' "$rc_commit" >>"$1/.git/shallow"
  rc_has_commit "$1" || {{
    printf '%s does not hold all of commit %s\\n' "$rc_pack" "$rc_commit"
    return 1
  }}
}}
# rc_fetch DIR: get the commit; alone if the server lets us, else with all branches and tags.
rc_fetch() {{
  ! rc_has_commit "$1" || return 0
  if [ -n "$rc_pack" ]; then
    rc_unpack "$1"
    return
  fi
  for rc_option in {"--filter=blob:none " if self.folders else ""}--no-tags; do
    if rc_git "$1" fetch --quiet --depth 1 --no-tags $rc_option origin "$rc_commit" 2>&1; then
      ! rc_has_commit "$1" || return 0
    fi
  done
  printf 'fetching all branches, since the server does not hand out this commit by itself\\n'
  rc_unshallow=
  [ ! -f "$1/.git/shallow" ] || rc_unshallow=--unshallow
  rc_git "$1" fetch --quiet $rc_unshallow --tags --force origin \\
    '+refs/heads/*:refs/remotes/origin/*' 2>&1 || {{
    printf 'the repository cannot be read: check its address, the network and your access to it\\n'
    return 1
  }}
  rc_has_commit "$1" || {{
    printf 'commit %s is on no branch or tag of the repository\\n' "$rc_commit"
    return 1
  }}
}}
# rc_verify DIR: the commit is checked out, and all that it consists of is there and intact.
rc_verify() {{
  [ "$(rc_git "$1" rev-parse HEAD)" = "$rc_commit" ]
  rc_git "$1" fsck --connectivity-only --no-dangling --no-progress 2>&1
}}
"""

    def _sparse(self) -> str:
        if not self.folders:
            # git takes files back only while patterns that match them are in force.
            place = '"$1/.git/info/sparse-checkout"'
            return f"[ ! -f {place} ] || printf '/*\\n' >{place}"
        return (
            'mkdir -p -- "$1/.git/info"\n'
            f"  printf '%s\\n' {words(self._patterns)} >\"$1/.git/info/sparse-checkout\"\n"
            '  rc_git "$1" config core.sparseCheckout true'
        )

    def _create(self) -> str:
        new = beside(self.path, "-git")
        return f"""rc_new={quote(new)}
rm -rf -- "$rc_new"
mkdir -- "$rc_new"
rc_git "$rc_new" init --quiet --template= 2>&1
rc_git "$rc_new" config remote.origin.url {quote(self.repository)}
{'rc_sparse "$rc_new"' if self.folders else ":"}
rc_fetch "$rc_new"
rc_git "$rc_new" -c advice.detachedHead=false checkout --quiet --force --detach "$rc_commit" 2>&1
rc_verify "$rc_new"
{self._make_room()}
mv -- "$rc_new" "$rc_path"
"""

    def _make_room(self) -> str:
        old = quote(beside(self.path, "-old"))
        replace = f'rm -rf -- {old}; mv -- "$rc_path" {old}; rm -rf -- {old}'
        keep = 'rmdir -- "$rc_path"'
        return f'[ ! -e "$rc_path" ] || {{ {replace if self.force else keep}; }}'

    def _move(self, *, careful: bool) -> str:
        """Move a checkout; ``careful``: nothing untracked may be in the way of the new files."""
        look = (
            'rc_git "$rc_path" read-tree -m -u -n HEAD "$rc_commit" 2>&1 || {\n'
            "  printf 'files that git does not know are in the way: move them, or set force\\n'\n"
            "  exit 1\n}"
        )
        whole = (
            'if [ -f "$rc_path/.git/info/sparse-checkout" ]; then\n'
            '  rc_git "$rc_path" config core.sparseCheckout false\n'
            '  rm -f -- "$rc_path/.git/info/sparse-checkout"\nfi'
        )
        return f"""rm -f -- "$rc_path/.git/index.lock" "$rc_path/.git/HEAD.lock" \\
  "$rc_path/.git/shallow.lock" "$rc_path/.git/config.lock"
rc_git "$rc_path" config remote.origin.url {quote(self.repository)}
rc_fetch "$rc_path"
{look if careful else ":"}
: >"$rc_path/.git/{MARKER}"
rc_sparse "$rc_path"
rc_git "$rc_path" -c advice.detachedHead=false checkout --quiet --force --detach "$rc_commit" 2>&1
rc_git "$rc_path" read-tree -m -u HEAD 2>&1
rc_git "$rc_path" reset --quiet --hard 2>&1
{":" if self.folders else whole}
rc_verify "$rc_path"
rm -f -- "$rc_path/.git/{MARKER}"
"""

    def removal(self, observed: Observed) -> Removal | None:
        """Remove it, if it was not there before."""
        if observed.get("state") not in {"absent", "empty"}:
            return None
        path = quote(self.path)
        return Removal(f"[ ! -e {path} ]", f"rm -rf -- {path}", self.sudo)

    def reads(self) -> frozenset[str]:
        """The tree, and git itself."""
        return frozenset({f"{self.path}/**", "package/git"})

    def writes(self) -> frozenset[str]:
        """The tree."""
        return frozenset({f"{self.path}/**"})
