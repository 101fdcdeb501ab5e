# The whole test suite: ./inv test [--only PATH] [--k EXPRESSION] comes down to this.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$here/tools/environment.sh"
cd "$here"
ensure_environment "$here" requirements-test.lock
bin=$here/.venv/bin
only=${1:-} match=${2:-}
if [ -z "$only$match" ]; then
  "$bin/ruff" check .
  "$bin/ruff" format --check .
  "$bin/mypy"
fi
set -- "${only:-tests}"
if [ -n "$match" ]; then set -- "$@" -k "$match"; fi
exec "$bin/python" -m pytest "$@"
