# Installs the packages of one lock into the image's own Python.
# Usage: image_packages.sh NAME; an empty name is none. Wheels come from /wheels where it has any.
set -eu
[ -n "${1:-}" ] || exit 0
lock=/build/packages/$1.txt
# NVIDIA's images constrain pip to their own versions, in an environment variable.
unset PIP_CONSTRAINT
set -- --no-cache-dir --disable-pip-version-check --no-input --require-hashes
for wheel in /wheels/*.whl; do
  [ ! -e "$wheel" ] || { set -- "$@" --no-index --find-links /wheels && break; }
done
exec python3 -m pip install "$@" -r "$lock"
