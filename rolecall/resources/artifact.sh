# The host's side of an artifact. FOLDER holds one directory for each DIGEST, and the link
# `current`. Each version keeps in .rolecall: manifest.json for readers, `files` (size, mtime,
# sha256, path) for the probe, `inputs` for the diff, `notes` that the build left.

# rc_listing: size, mtime and path of every output in the current directory, sorted. What Python
# caches beside a source that it runs is no output. With rc_links, links are gone through.
rc_listing() {
  find . '(' -path ./.rolecall -o -name __pycache__ ')' -prune -o '(' -type f -o -type l ')' \
    -exec stat ${rc_links:+-L} -c '%s %Y %n' -- {} + | sort
}

# rc_artifact FOLDER DIGEST LINKS VERIFY: the probe. LINKS is -L to go through links; VERIFY is
# not empty to read every file.
rc_artifact() {
  rc_links=$3
  if [ ! -r "$1/$2/.rolecall/files" ]; then
    printf 'present=no\n'
  elif [ "$(cd -- "$1/$2" && rc_listing 2>/dev/null)" = \
    "$(cut -d ' ' -f 1,2,4- "$1/$2/.rolecall/files" | sort)" ]; then
    printf 'present=yes\n'
    [ -z "$4" ] || rc_hashes "$1/$2"
  else
    printf 'present=damaged\n'
  fi
  [ ! -r "$1/$2/.rolecall/notes" ] || cat -- "$1/$2/.rolecall/notes"
  [ ! -L "$1/current" ] || rc_field current "$(readlink -- "$1/current")"
  [ ! -r "$1/current/.rolecall/inputs" ] || cat -- "$1/current/.rolecall/inputs"
}

# rc_hashes PLACE: whether every file has the sha256 that it was made with, and which have not.
rc_hashes() {
  rc_wrong=$(cd -- "$1" && sed -n \
    's/^[0-9]* -*[0-9]* \([0-9a-f]\{64\}\) \(\.\/.*\)$/\1  \2/p' .rolecall/files |
    sha256sum -c 2>/dev/null | sed -n 's/^\(.*\): FAILED.*$/\1/p')
  if [ -z "$rc_wrong" ]; then
    printf 'hashes=match\n'
  else
    rc_field hashes "differ: $(printf %s "$rc_wrong" | sed 's/^\.\///' | head -n 20 | tr '\n' ' ')"
  fi
}

# rc_build FOLDER DIGEST TITLE INPUTS INPUTS_JSON [TITLE DIGEST PATH]...: run rc_build_steps in
# $OUT beside the place, describe what it made, rename it in. The rest is what it was made from.
rc_build() {
  rc_folder=$1 rc_digest=$2 rc_title=$3 rc_inputs=$4 rc_inputs_json=$5
  shift 5
  rc_place=$rc_folder/$rc_digest
  OUT=$rc_folder/.building-$rc_digest
  KEEP=$rc_folder/.kept-$rc_digest
  SUMS=$OUT.sums
  NOTES=$OUT.notes
  OLD=
  [ ! -d "$rc_place" ] || OLD=$rc_place
  export OUT KEEP SUMS NOTES OLD
  rm -rf -- "$OUT" "$SUMS" "$NOTES"
  trap 'rm -rf -- "$OUT" "$SUMS" "$NOTES"
    rmdir -- "$KEEP" "$rc_folder" "${rc_folder%/*}" 2>/dev/null || :' EXIT
  mkdir -p -- "$OUT" "$KEEP"
  rc_began=$(date +%s)
  (
    cd -- "$OUT"
    rc_build_steps
  )
  cd -- "$OUT"
  if [ -n "$(find . -name '*
*')" ]; then
    printf 'the build made a file with a newline in its name, which no manifest can hold\n'
    return 1
  fi
  mkdir .rolecall
  printf %s "$rc_inputs" >.rolecall/inputs
  [ ! -f "$NOTES" ] || sed -n 's/^[a-z][a-z0-9_.-]*=/note.&/p' "$NOTES" >.rolecall/notes
  rc_digests >.rolecall/files
  rc_manifest "$@" >.rolecall/manifest.json
  cd /
  rm -rf -- "$rc_place.damaged"
  if [ -e "$rc_place" ]; then mv -- "$rc_place" "$rc_place.damaged"; fi
  mv -- "$OUT" "$rc_place"
  rm -rf -- "$rc_place.damaged" "$KEEP"
}

# rc_digests: the listing with the sha256 of every file; a link has none.
rc_digests() {
  rc_listing | while IFS= read -r rc_line; do
    rc_path=./${rc_line#* ./}
    rc_sha=-
    if [ -f "$rc_path" ] && { [ -n "$rc_links" ] || [ ! -L "$rc_path" ]; }; then
      rc_sha=$(rc_known "$rc_line")
      [ -n "$rc_sha" ] || rc_sha=$(sha256sum <"$rc_path")
    fi
    printf '%s %s %s\n' "${rc_line%% ./*}" "${rc_sha%% *}" "$rc_path"
  done
}

# rc_known LINE: the sha256 that the build itself gave for the output of that line, if it did.
rc_known() {
  [ -f "$SUMS" ] || return 0
  grep -F -- " $1" "$SUMS" | while IFS= read -r rc_sum; do
    [ "${rc_sum#* }" != "$1" ] || printf '%s\n' "${rc_sum%% *}"
  done | tail -n 1
}

# rc_manifest [TITLE DIGEST PATH]...: the manifest as JSON.
rc_manifest() {
  printf '{"artifact": "%s", "digest": "%s",\n "inputs": %s,\n "uses": {' \
    "$rc_title" "$rc_digest" "$rc_inputs_json"
  rc_comma=
  while [ $# -gt 0 ]; do
    rc_sha=$(sha256sum <"$3/.rolecall/files")
    printf '%s"%s": {"digest": "%s", "files_sha256": "%s"}' \
      "$rc_comma" "$1" "$2" "${rc_sha%% *}"
    rc_comma=', '
    shift 3
  done
  printf '},\n "built_at": "%s", "seconds": %s,\n "outputs": [' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(($(date +%s) - rc_began))"
  rc_comma=
  while IFS= read -r rc_line; do
    rc_size=${rc_line%% *}
    rc_path=${rc_line#* ./}
    rc_sha=${rc_line%% ./*}
    rc_sha=${rc_sha##* }
    # JSON has no raw control characters; `files` keeps the name as it is.
    case $rc_path in
    *[!a-zA-Z0-9._/-]*)
      rc_path=$(printf %s "$rc_path" | tr '\001-\037\177' '?' | sed 's/[\\"]/\\&/g')
      ;;
    esac
    printf '%s\n  {"path": "%s", "size": %s, "sha256": "%s"}' \
      "$rc_comma" "$rc_path" "$rc_size" "$rc_sha"
    rc_comma=,
  done <.rolecall/files
  printf '\n ]}\n'
}
