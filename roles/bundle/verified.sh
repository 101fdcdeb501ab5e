# The host's side of a bundle.

# rc_bundle_paths PLACE: every file that the bundle has to have.
rc_bundle_paths() { sed 's/^[^ ]*  //' "$1/SHA256SUMS"; }

# rc_bundle_listing PLACE: the list's digest, and size and time of every file of it.
rc_bundle_listing() (
  cd -- "$1" || exit
  sha256sum SHA256SUMS
  rc_bundle_paths . | tr '\n' '\000' | xargs -0 stat -c '%s %Y %n' -- 2>&1
)

# rc_bundle_wrong PLACE: every file that is not what the list says.
rc_bundle_wrong() (
  cd -- "$1" || exit
  LC_ALL=C sha256sum -c SHA256SUMS 2>/dev/null | sed -n 's/^\(.*\): FAILED.*$/\1/p'
)

# rc_bundle PLACE RECORD FULL [KEY TEST]...: the probe. A KEY is an expression for a line of
# `pieces`; its TEST succeeds where the host has that already. FULL is not empty to read every file.
rc_bundle() {
  rc_place=$1 rc_record=$2 rc_full=$3
  shift 3
  if [ -e "$rc_record" ]; then printf 'record=yes\n'; else printf 'record=no\n'; fi
  if [ ! -r "$rc_place/SHA256SUMS" ] || [ ! -r "$rc_place/pieces" ]; then
    printf 'bundle=no\n'
    return
  fi
  printf 'bundle=yes\n'
  rc_number=0 rc_lacking=
  while [ $# -gt 0 ]; do
    rc_number=$((rc_number + 1))
    grep -qx -e "$1" "$rc_place/pieces" ||
      { [ -n "$2" ] && (eval "$2") </dev/null >/dev/null 2>&1; } ||
      rc_lacking="$rc_lacking $rc_number"
    shift 2
  done
  rc_field lacking "${rc_lacking# }"
  rc_missing=$(
    cd -- "$rc_place" && rc_bundle_paths . | while IFS= read -r rc_p; do
      [ -r "$rc_p" ] || printf '%s ' "$rc_p"
    done
  )
  rc_field missing "${rc_missing% }"
  if [ "$(cat -- "$rc_record" 2>/dev/null)" = "$(rc_bundle_listing "$rc_place")" ]; then
    printf 'verified=yes\n'
  else
    printf 'verified=no\n'
  fi
  if [ -n "$rc_full" ] && [ -z "$rc_missing" ]; then
    rc_field wrong "$(rc_bundle_wrong "$rc_place" | tr '\n' ' ')"
  fi
}

# rc_bundle_verify PLACE RECORD: read every file; a bundle that is right is noted.
rc_bundle_verify() {
  rc_bundle_listing "$1" >"$2.new"
  rc_total=$(rc_bundle_paths "$1" | grep -c .)
  rc_done=0 rc_bad=
  cd -- "$1"
  while read -r rc_sum rc_p; do
    rc_is=$(sha256sum <"$rc_p") || rc_is=unreadable
    [ "${rc_is%% *}" = "$rc_sum" ] || rc_bad="$rc_bad $rc_p"
    rc_done=$((rc_done + 1))
    printf '::progress {"done":%s,"total":%s,"unit":"files","label":"verifying"}\n' \
      "$rc_done" "$rc_total"
  done <SHA256SUMS
  if [ -n "$rc_bad" ]; then
    rm -f -- "$2.new"
    printf 'error: damaged in the bundle %s:%s\n' "$1" "$rc_bad"
    printf '  next: copy them there again; where it was made, ./inv bundle --output DIR mends it\n'
    return 1
  fi
  mv -f -- "$2.new" "$2"
}
