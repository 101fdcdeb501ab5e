# Strict types: the controller's code as a whole, then each program that runs on a target by
# itself, since each is loaded from its own folder.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
mypy=$here/.venv/bin/mypy
cd "$here"
"$mypy"
for folder in roles/engine/openvino roles/repo/backends/tensorrtllm_cpu \
  templates/inflight_batcher_llm/*/1 benchmarks; do
  files=$(cd -- "$folder" && find . -name '*.py' ! -path '*/__pycache__/*' | sort)
  [ -n "$files" ] || continue
  # shellcheck disable=SC2086
  (cd -- "$folder" && "$mypy" --config-file "$here/tools/mypy-target.ini" --no-error-summary \
    --cache-dir "$here/.mypy_cache/$folder" $files)
done
