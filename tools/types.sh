# Strict types: the controller's code as a whole, then each program that runs on a target by
# itself, since each is loaded from its own folder. The runner's benchmarks count as the controller's.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
mypy=$here/.venv/bin/mypy
cd "$here"
"$mypy"
for folder in roles/engine/openvino roles/engine/vllm roles/model/fetch roles/repo/fill roles/repo/backends/tensorrtllm \
  roles/server/openai templates/inflight_batcher_llm/*/1 benchmarks docker/gpu; do
  below=.
  # What runs on a target there is the package front; the rest is the controller's.
  case $folder in roles/server/openai) below=./front ;; esac
  files=$(cd -- "$folder" && find "$below" -name '*.py' ! -path '*/__pycache__/*' \
    ! -path ./runner.py ! -path ./k8s.py ! -path './peers/*' ! -path './cluster/*' | sort)
  [ -n "$files" ] || continue
  path=
  case $folder in
  # The builder for vLLM reads a GGUF with the modules of the one for OpenVINO.
  roles/engine/vllm) path=$here/roles/engine/openvino ;;
  # The images' launcher composes its command line as role server does.
  docker/gpu) path=$here/roles/server ;;
  esac
  # shellcheck disable=SC2086
  (cd -- "$folder" && MYPYPATH=$path "$mypy" --config-file "$here/tools/mypy-target.ini" --no-error-summary \
    --cache-dir "$here/.mypy_cache/$folder" $files)
done
