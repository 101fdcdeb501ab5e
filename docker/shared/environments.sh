# Makes the controller's environment, and one for each lock, as role python lays them out. Wheels
# come from /wheels where it has any.
set -eu
umask 022
# NVIDIA's images constrain pip to their own versions; these environments have nothing of them.
unset PIP_CONSTRAINT
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
for wheel in /wheels/*.whl; do
  [ ! -e "$wheel" ] || export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
done
# shellcheck source=tools/environment.sh
. /opt/rolecall/project/tools/environment.sh
ensure_environment /opt/rolecall/project requirements.lock
for lock in /build/locks/*.txt; do
  name=$(basename -- "$lock" .txt)
  echo "making the environment $name"
  python3 -m venv "/opt/rolecall/python/$name"
  "/opt/rolecall/python/$name/bin/python" -I -m pip install --quiet --no-deps --require-hashes \
    -r "$lock"
done
