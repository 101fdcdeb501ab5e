# Installs what the base lacks: Python with venv, its shared library, git, ssh, authorities.
# A base that has them all needs no network here.
set -eu

# install PACKAGE...: from the base's own distribution, in the version that it has today.
install() {
  [ $# -gt 0 ] || return 0
  command -v apt-get >/dev/null || {
    echo "error: the base image lacks $*, and it has no apt-get to install them with"
    echo "  next: build on an image of Debian or Ubuntu, or on one that has them"
    exit 1
  }
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; } || {
    echo "error: the base image lacks $*, and they could not be installed"
    echo "  next: build with a network (--network host), or on a base that has them (--base)"
    exit 1
  }
  apt-get clean
  rm -rf /var/lib/apt/lists/*
}

set --
command -v git >/dev/null || set -- "$@" git
command -v ssh >/dev/null || set -- "$@" openssh-client
[ -s /etc/ssl/certs/ca-certificates.crt ] || set -- "$@" ca-certificates
command -v python3 >/dev/null || set -- "$@" python3
python3 -c 'import venv, ensurepip' 2>/dev/null || set -- "$@" python3-venv
install "$@"

# Triton's python backend is linked with it.
set --
release=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
python3 -c '
import ctypes, os, sys, sysconfig
lib = "libpython%d.%d.so.1.0" % sys.version_info[:2]
os.path.exists(os.path.join(sysconfig.get_config_var("LIBDIR") or "", lib)) or ctypes.CDLL(lib)
' 2>/dev/null || set -- "libpython$release"
install "$@"
