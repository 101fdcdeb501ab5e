# What there is to run the serving software in. Stable from run to run, and cheap: no daemon is
# asked and no program started.
rc_engine=
if command -v docker >/dev/null; then
  if [ -n "$DOCKER_HOST" ] || [ -S /var/run/docker.sock ] ||
    [ -S "${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/docker.sock" ]; then
    rc_engine=docker
  fi
fi
if [ -z "$rc_engine" ]; then
  for rc_name in podman docker; do
    if [ -z "$rc_engine" ] && command -v "$rc_name" >/dev/null; then rc_engine=$rc_name; fi
  done
fi
rc_field runtime.engine "$rc_engine"
rc_server=
for rc_path in /opt/tritonserver/bin/tritonserver "$(command -v tritonserver)"; do
  if [ -z "$rc_server" ] && [ -x "$rc_path" ]; then rc_server=$rc_path; fi
done
rc_field runtime.tritonserver "$rc_server"
# Set in NVIDIA's images: NVIDIA_TRITON_SERVER_VERSION, a release such as 26.06. A login loses it;
# the container's first process has it still.
rc_release=$NVIDIA_TRITON_SERVER_VERSION
if [ -z "$rc_release" ] && [ -d /opt/tritonserver ]; then
  rc_release=$(
    tr '\000' '\n' </proc/1/environ 2>/dev/null | sed -n 's/^NVIDIA_TRITON_SERVER_VERSION=//p'
  )
fi
rc_field runtime.triton "$rc_release"
rc_version=
for rc_path in /usr/local/lib/python3*/dist-packages/tensorrt_llm-*.dist-info \
  /usr/local/lib/python3*/site-packages/tensorrt_llm-*.dist-info; do
  [ -d "$rc_path" ] || continue
  rc_version=${rc_path##*/tensorrt_llm-}
  rc_version=${rc_version%.dist-info}
done
rc_field runtime.tensorrt_llm "$rc_version"
