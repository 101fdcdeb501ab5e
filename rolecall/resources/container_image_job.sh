# Fetches an image, as a job. Needs CLIENT, REFERENCE and ARCHIVE.

# ci_layers: turn what the client says of each layer into progress. Docker announces all layers
# first ("Pulling fs layer") and then says of each that it is there; Podman names each as it
# begins with it.
ci_layers() {
  ci_all=0 ci_done=0
  while IFS= read -r ci_line; do
    case $ci_line in
    *': Pulling fs layer') ci_all=$((ci_all + 1)) ;;
    *': Pull complete' | *': Already exists') ci_done=$((ci_done + 1)) ;;
    'Copying blob '*) ci_done=$((ci_done + 1)) ;;
    *': Waiting' | *': Verifying Checksum' | *': Download complete') continue ;;
    *)
      printf '%s\n' "$ci_line"
      continue
      ;;
    esac
    # What exists already was not announced.
    [ "$ci_all" -ge "$ci_done" ] || ci_all=$ci_done
    printf '::progress {"label": "pulling", "done": %s, "total": %s, "unit": "layers"}\n' \
      "$ci_done" "$ci_all"
  done
}

# ci_watch PID SIZE: say how far a process has read its input.
ci_watch() {
  while kill -0 "$1" 2>/dev/null; do
    ci_at=$(sed -n -e 's/^pos:[^0-9]*//p' "/proc/$1/fdinfo/0" 2>/dev/null) || :
    [ -z "$ci_at" ] ||
      printf '::progress {"label": "loading", "done": %s, "total": %s, "unit": "B"}\n' "$ci_at" "$2"
    sleep 1
  done
}

# ci_explain FILE: what the client's last words mean.
ci_explain() {
  if grep -q -i -E 'unauthorized|authentication required|access denied|denied: ' "$1"; then
    printf 'error: the registry does not let this user pull %s\n' "$REFERENCE"
    printf '  next: on this host, as %s: %s login %s\n' "$(id -un)" "$CLIENT" "${REFERENCE%%/*}"
  elif grep -q -i -E 'manifest unknown|not found|does not exist|invalid reference' "$1"; then
    printf 'error: the registry has no %s\n' "$REFERENCE"
    printf '  next: check the name and the tag\n'
  elif grep -q -i -E 'no space left' "$1"; then
    printf 'error: the disk where %s keeps its images is full\n' "$CLIENT"
    printf '  next: %s system df shows what takes room, %s image prune frees some\n' \
      "$CLIENT" "$CLIENT"
  elif grep -q -i -E 'dial tcp|no such host|lookup|timeout|connection refused|TLS' "$1"; then
    printf 'error: the registry of %s cannot be reached from here\n' "$REFERENCE"
    printf '  next: load the image from an archive, or name a mirror\n'
  fi
}

ci_there() { "$CLIENT" image inspect "$REFERENCE" >/dev/null 2>&1; }

ci_said=$rc_job_dir/said
: >"$ci_said"
if [ -n "$ARCHIVE" ]; then
  if [ ! -r "$ARCHIVE" ]; then
    printf 'error: there is no image archive %s\n' "$ARCHIVE"
    exit 1
  fi
  "$CLIENT" load <"$ARCHIVE" >"$ci_said" 2>&1 &
  ci_loader=$!
  ci_watch "$ci_loader" "$(wc -c <"$ARCHIVE")"
  if ! wait "$ci_loader"; then
    cat "$ci_said"
    ci_explain "$ci_said"
    exit 1
  fi
  cat "$ci_said"
  if ! ci_there; then
    printf 'error: %s holds another image than %s\n' "$ARCHIVE" "$REFERENCE"
    printf '  next: save it under that name, or set the name to the one that it has\n'
    exit 1
  fi
else
  # The status of the client, not of what reads it.
  {
    ci_status=0
    "$CLIENT" pull "$REFERENCE" 2>&1 || ci_status=$?
    echo "$ci_status" >"$ci_said.status"
  } | tee "$ci_said" | ci_layers
  read -r ci_status <"$ci_said.status"
  if [ "$ci_status" != 0 ]; then
    ci_explain "$ci_said"
    exit "$ci_status"
  fi
fi
rm -f "$ci_said" "$ci_said.status"
