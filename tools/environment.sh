# Sourced by ./inv and the like: the controller's Python environment in .venv.

# find_python: print a Python that is new enough.
find_python() {
  for name in python3 python3.13 python3.12 python3.11 python3.10 python3.14; do
    if command -v "$name" >/dev/null &&
      "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      command -v "$name"
      return 0
    fi
  done
  found=$(python3 -V 2>/dev/null || echo 'no Python 3')
  echo "error: Rolecall needs Python 3.10 or newer; this machine has $found" >&2
  echo "  next: install one (apt-get install python3, or uv python install) and run this again" >&2
  return 1
}

# ensure_environment ROOT LOCK: .venv holds exactly the packages of LOCK. The copy of the lock
# file inside is written last, so an environment without it is unfinished and made anew.
ensure_environment() {
  if made_meanwhile "$1" "$2"; then return 0; fi
  python=$(find_python) || exit 1
  if [ -e "$1/.venv" ]; then made_in=$1/.venv; else made_in=$1; fi
  if [ ! -w "$made_in" ]; then
    echo "error: $1/.venv has to be made anew, and $(id -un) cannot write in $made_in" >&2
    echo "  next: run this as the owner of $1, or in a copy of that folder that is yours" >&2
    exit 1
  fi
  begin_making "$1"
  trap 'rm -f -- "$environment_lock"' EXIT
  trap 'exit 130' INT HUP TERM
  made_meanwhile "$1" "$2" || make_or_explain "$1" "$2"
  rm -f -- "$environment_lock"
  trap - EXIT INT HUP TERM
}

made_meanwhile() { [ -x "$1/.venv/bin/python" ] && cmp -s -- "$1/$2" "$1/.venv/$2"; }

# begin_making ROOT: one process at a time makes the environment; the others wait for it. The lock
# is a link whose target is the maker's pid, so that a dead one's is recognised.
begin_making() {
  environment_lock=$1/.venv.lock
  tries=0
  until said=$(ln -s "$$" "$environment_lock" 2>&1); do
    maker=$(readlink -- "$environment_lock" 2>/dev/null) || {
      tries=$((tries + 1)) # it was given up just now; or it cannot be made at all
      [ "$tries" -lt 10 ] || { echo "error: $said" >&2 && exit 1; }
      continue
    }
    if kill -0 "$maker" 2>/dev/null; then
      [ -n "${waited:-}" ] || echo "waiting for process $maker, which makes $1/.venv" >&2
      waited=yes
      sleep 1
    elif mv -- "$environment_lock" "$environment_lock.$$" 2>/dev/null; then
      # Someone else may have taken it over in between: give that one back.
      [ "$(readlink -- "$environment_lock.$$")" = "$maker" ] ||
        mv -- "$environment_lock.$$" "$environment_lock"
      rm -f -- "$environment_lock.$$"
    fi
  done
}

make_or_explain() {
  echo "making $1/.venv from $2 (once; takes a moment)" >&2
  if [ ! -x "$1/.venv/bin/python" ] || [ ! -f "$1/.venv/requirements.lock" ]; then
    rm -rf -- "$1/.venv"
  fi
  make_environment "$1" "$2" || {
    echo "error: $1/.venv could not be made; the reason stands above" >&2
    echo "  next: check the network and the free space, then run the same command again" >&2
    exit 1
  }
}

make_environment() {
  rm -f -- "$1/.venv/$2"
  if command -v uv >/dev/null; then
    [ -x "$1/.venv/bin/python" ] || uv venv --quiet --python "$python" -- "$1/.venv" || return 1
    uv pip install --quiet --python "$1/.venv/bin/python" --require-hashes -r "$1/$2" || return 1
  else
    [ -x "$1/.venv/bin/python" ] || "$python" -m venv -- "$1/.venv" || {
      echo "  (on Debian and Ubuntu: apt-get install python3-venv)" >&2
      return 1
    }
    "$1/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
      --require-hashes -r "$1/$2" || return 1
  fi
  for site in "$1"/.venv/lib/python3*/site-packages; do
    printf '%s\n' "$1" >"$site/rolecall.pth" || return 1
  done
  cp -- "$1/$2" "$1/.venv/$2.new" && mv -- "$1/.venv/$2.new" "$1/.venv/$2"
}
