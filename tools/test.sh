# The whole test suite: ./inv test [--only PATH] [-k EXPRESSION] [--quick] comes down to
# sh tools/test.sh PATH EXPRESSION quick, each of which may be empty.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$here/tools/environment.sh"
cd "$here"
ensure_environment "$here" requirements-test.lock
bin=$here/.venv/bin
only=${1:-} match=${2:-} quick=${3:-}
clusters=tests/integration/cluster images=tests/integration/images
# What --quick leaves out: minutes of building, gigabytes, and machines that can run it.
long="$clusters $images tests/integration/bundle"
only=${only#./} only=${only%/}
if [ -n "$quick" ]; then
  for folder in $long; do
    case $only in "$folder" | "$folder"/*)
      echo "error: --quick leaves out $folder, so nothing is left of --only $only" >&2
      echo "  next: leave --quick away" >&2
      exit 1
      ;;
    esac
  done
fi
# What the tests need beyond Python: other shells to prove the host side on, sudo, what the rig
# (tests/rig) makes hosts of, a container engine, what a Kubernetes node runs on, an MPI, and a
# browser.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  for need in busybox sudo tcsh fish zsh promtool:prometheus mmdebstrap sshd:openssh-server ip:iproute2 \
    systemd-nspawn:systemd-container podman runc containerd iptables \
    /usr/lib/cni/bridge:containernetworking-plugins mpirun:openmpi-bin chromium; do
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
  "$bin/ruff" check --no-cache .
  "$bin/ruff" format --no-cache --check .
  sh tools/types.sh
fi
# Kubernetes is built before the tests rather than in the first that needs it, since it takes
# minutes, once for a user. Where it cannot be built, the tests on clusters skip and say why.
case $only in "" | tests | tests/integration | "$clusters"* | "$images"*)
  if [ -z "$quick$match${KUBEBUILDER_ASSETS:-}" ] && command -v go >/dev/null; then
    "$bin/python" -m tests.rig.kubernetes.build >/dev/null || :
  fi
  ;;
esac
set -- "${only:-tests}"
if [ -n "$match" ]; then set -- "$@" -k "$match"; fi
if [ -z "$quick" ]; then exec "$bin/python" -m pytest "$@"; fi
for folder in $long; do set -- "$@" "--ignore=$folder"; done
status=0
"$bin/python" -m pytest "$@" || status=$?
echo "left out by --quick: $long" >&2
exit "$status"
