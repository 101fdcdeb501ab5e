# The documentation as a site: sh tools/docs.sh build [FOLDER] | serve [ADDRESS:PORT]
# What makes it is in an environment of its own, from requirements-docs.lock.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$here/tools/environment.sh"

# docs_environment: print an environment's folder; it is made on first use and for another lock.
docs_environment() {
  made=$here/.rolecall/docs/$(cksum <"$here/requirements-docs.lock" | tr ' ' -)
  if [ ! -x "$made/bin/python" ]; then
    python=$(find_python) || return 1
    echo "making $made from requirements-docs.lock (once)" >&2
    new=$made.$$
    mkdir -p -- "$here/.rolecall/docs"
    if command -v uv >/dev/null; then
      uv venv --quiet --python "$python" -- "$new" >&2 &&
        uv pip install --quiet --python "$new/bin/python" --require-hashes \
          -r "$here/requirements-docs.lock" >&2
    else
      "$python" -m venv -- "$new" >&2 &&
        "$new/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
          --require-hashes -r "$here/requirements-docs.lock" >&2
    fi || {
      rm -rf -- "$new"
      echo "error: the environment of the documentation could not be made" >&2
      echo "  next: the reason stands above; check the network and the free space" >&2
      return 1
    }
    # Another one may have been quicker; its environment is as good.
    if [ -e "$made" ]; then rm -rf -- "$new"; else mv -- "$new" "$made"; fi
  fi
  printf '%s\n' "$made"
}

usage() {
  echo "usage: sh tools/docs.sh build [FOLDER] | serve [ADDRESS:PORT]" >&2
  exit 2
}

[ $# -ge 1 ] && [ $# -le 2 ] || usage
case $1 in build | serve) ;; *) usage ;; esac
environment=$(docs_environment) || exit 1
site=${2:-}
case $1:$site in build:?*) case $site in /*) ;; *) site=$PWD/$site ;; esac ;; esac
cd "$here"
export NO_MKDOCS_2_WARNING=1 # a note on the future of mkdocs, which is no fault of a page
# mkdocs is called as a module, since an environment's scripts name the folder it was made in.
if [ "$1" = build ]; then
  # Not with --quiet, under which mkdocs counts no warning, and nothing is strict.
  said=$("$environment/bin/python" -m mkdocs build --strict \
    --site-dir "${site:-$here/.rolecall/site}" 2>&1) || {
    printf '%s\n' "$said" >&2
    exit 1
  }
  exit 0
fi
exec "$environment/bin/python" -m mkdocs serve --dev-addr "${site:-127.0.0.1:8400}"
