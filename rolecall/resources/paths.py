"""What every resource about a path shares: the probe, ownership, and safe names."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable

from rolecall.errors import ConfigError
from rolecall.resource import Probe, ShellFunction
from rolecall.shell import encode, quote

_MODE = re.compile(r"[0-7]{3,4}")

# One stat and one sha256sum answer for any number of paths, and none where there is nothing, as
# in front of most changes. A path that cannot be reached
# counts as absent, as it does for every other program of this user. A name with a newline is
# hashed by itself: busybox does not escape it, so its line could not be told from two.
_SOURCE = r"""
rc_paths() {
  rc_sum=$1
  shift
  rc_some= rc_stats= rc_sums=
  for rc_p; do
    if [ -e "$rc_p" ] || [ -L "$rc_p" ]; then rc_some=1 && break; fi
  done
  if [ -n "$rc_some" ]; then
    rc_stats=$(stat -c '%a %U %G %u %g' -- "$@" 2>/dev/null)
  fi
  if [ -n "$rc_some" ] && [ "$rc_sum" = 1 ]; then
    rc_sums=$(
      for rc_p; do
        shift
        case $rc_p in
        *"$rc_nl"*) continue ;;
        esac
        if [ -f "$rc_p" ] && [ ! -L "$rc_p" ] && [ -r "$rc_p" ]; then set -- "$@" "$rc_p"; fi
      done
      [ $# = 0 ] || sha256sum -- "$@"
    )
  fi
  {
    for rc_p; do
      if [ -L "$rc_p" ]; then rc_type=symlink
      elif [ -f "$rc_p" ]; then rc_type=file
      elif [ -d "$rc_p" ]; then rc_type=directory
      elif [ -e "$rc_p" ]; then rc_type=other
      else
        printf 'type=absent\n'
        rc_item
        continue
      fi
      read -r rc_mode rc_owner rc_group rc_uid rc_gid <&3
      printf 'type=%s\nmode=%s\nowner=%s\ngroup=%s\nuid=%s\ngid=%s\n' \
        "$rc_type" "$rc_mode" "$rc_owner" "$rc_group" "$rc_uid" "$rc_gid"
      if [ "$rc_type" = symlink ]; then
        rc_link=$(readlink -- "$rc_p" && printf x)
        rc_field target "${rc_link%"$rc_nl"x}"
      elif [ "$rc_sum" = 1 ] && [ "$rc_type" = file ]; then
        if [ ! -r "$rc_p" ]; then
          rc_digest=unreadable
        else
          case $rc_p in
          *"$rc_nl"*) rc_digest=$(sha256sum <"$rc_p") ;;
          *) read -r rc_digest <&4 ;;
          esac
        fi
        rc_digest=${rc_digest%% *}
        printf 'sha256=%s\n' "${rc_digest#\\}"
      fi
      rc_item
    done
  } 3<<RC_STATS 4<<RC_SUMS
$rc_stats
RC_STATS
$rc_sums
RC_SUMS
}
"""

#: Type, mode and owner of paths.
PATH = ShellFunction("rc_path", _SOURCE + 'rc_path() { rc_paths 0 "$@"; }', batch=True)

#: The same, with the sha256 of regular files.
FILE = ShellFunction("rc_file", _SOURCE + 'rc_file() { rc_paths 1 "$@"; }', batch=True)


def check_path(path: str, kind: str) -> str:
    """Return ``path``, normalised.

    Raises:
        ConfigError: it is not a text, or not absolute.
    """
    if not isinstance(path, str):
        raise ConfigError(f"{kind}: the path {path!r} is not a text", "host.path(...) makes one")
    if not path.startswith("/"):
        raise ConfigError(
            f"{kind}: {path!r} is not an absolute path",
            "start it with / or build it with host.path(...)",
        )
    return "/" + posixpath.normpath(path).lstrip("/")


def check_ownership(id_: str, mode: object, owner: object = None, group: object = None) -> None:
    """Refuse what chmod and chown would not take, or would take for something else.

    Raises:
        ConfigError: the mode is not a text of octal digits, or an account is not a text.
    """
    if not (mode is None or (isinstance(mode, str) and _MODE.fullmatch(mode))):
        meant = f"{mode:o}" if type(mode) is int and 0 <= mode <= 0o7777 else "644"
        raise ConfigError(
            f"{id_}: the mode {mode!r} is not octal digits in a text", f'write mode="{meant}"'
        )
    for name, account in (("owner", owner), ("group", group)):
        if not (account is None or (isinstance(account, str) and account)):
            raise ConfigError(
                f"{id_}: the {name} {account!r} is not a text", "give a name, or a number as text"
            )


def check_texts(id_: str, name: str, values: Iterable[object]) -> tuple[str, ...]:
    """Return ``values``, several texts, as a tuple.

    Raises:
        ConfigError: it is one text, whose letters would be taken for the texts, or holds a number.
    """
    if isinstance(values, str):
        raise ConfigError(f"{id_}: {name} is one text", f'write {name}=("…", "…")')
    texts = tuple(values)
    for value in texts:
        if not isinstance(value, str):
            raise ConfigError(f"{id_}: {value!r} in {name} is not a text", "str(...) makes it one")
    return tuple(map(str, texts))


def check_title(title: str, kind: str) -> None:
    """Refuse a title that cannot be the name of a folder and of a job.

    Raises:
        ConfigError: it holds anything but letters, digits, ``.``, ``_`` and ``-``.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", title):
        raise ConfigError(
            f"{kind}: {title!r} cannot be the name of a folder",
            "use letters, digits, '.', '_' and '-'",
        )


def beside(path: str, suffix: str = "") -> str:
    """A temporary name in the same folder, the same for every attempt so that none is left."""
    digest = hashlib.sha256(encode(path)).hexdigest()[:12]
    return posixpath.join(posixpath.dirname(path), f".rolecall-{digest}{suffix}")


def needs_folder(path: str) -> str:
    """A command that ends an apply, and says why, where the folder of ``path`` is not there."""
    folder = posixpath.dirname(path)
    said = f"its folder {folder} is not there: declare it in front, as Directory(...)"
    return f"[ -d {quote(folder)} ] || {{ printf '%s\\n' {quote(said)}; exit 1; }}"


def path_probe(path: str, *, digest: bool = False) -> Probe:
    """The probe of one path."""
    return Probe(FILE if digest else PATH, (path,))


def ownership(mode: str | None, owner: str | None, group: str | None) -> dict[str, str]:
    """The desired fields for mode and owner; a number compares with the numeric id."""
    fields: dict[str, str] = {}
    if mode is not None:
        fields["mode"] = f"{int(mode, 8):o}"
    if owner is not None:
        fields["uid" if owner.isdigit() else "owner"] = owner
    if group is not None:
        fields["gid" if group.isdigit() else "group"] = group
    return fields


def set_ownership(path: str, mode: str | None, owner: str | None, group: str | None) -> list[str]:
    """Commands that set what is asked for; owner first, since chown clears setuid bits."""
    commands: list[str] = []
    if owner is not None or group is not None:
        account = (owner or "") + (f":{group}" if group is not None else "")
        commands.append(f"chown -h -- {quote(account)} {quote(path)}")
    if mode is not None:
        commands.append(f"chmod -- {quote(mode)} {quote(path)}")
    return commands
