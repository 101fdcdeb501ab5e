# The whole test suite: ./inv test [--only PATH] [--k EXPRESSION] comes down to this.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$here/tools/environment.sh"
cd "$here"
ensure_environment "$here" requirements-test.lock
bin=$here/.venv/bin
only=${1:-} match=${2:-}
# What the tests need beyond Python: other shells to prove the host side on, sudo, what the rig
# (tests/rig) makes hosts of, a container engine, and an MPI.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  for need in busybox sudo tcsh fish mmdebstrap sshd:openssh-server ip:iproute2 \
    systemd-nspawn:systemd-container podman runc mpirun:openmpi-bin; do
    command -v "${need%%:*}" >/dev/null || missing="${missing:-} ${need##*:}"
  done
  if [ -n "${missing:-}" ]; then
    echo "installing for the tests:$missing" >&2
    # shellcheck disable=SC2086
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
      --no-install-recommends $missing; } >/dev/null || echo "could not; some tests will skip" >&2
  fi
fi
if [ -z "$only$match" ]; then
  "$bin/ruff" check .
  "$bin/ruff" format --check .
  sh tools/types.sh
fi
set -- "${only:-tests}"
if [ -n "$match" ]; then set -- "$@" -k "$match"; fi
exec "$bin/python" -m pytest "$@"
