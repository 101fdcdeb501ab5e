# What root's shell gets besides the prelude, for a step that changes the host.

# rc_watch PID: end the session's process group once its shell PID is gone. The user who pressed
# Ctrl-C may not signal what runs as root; root may.
rc_watch() {
  while [ -d "/proc/$1" ]; do sleep 1; done
  trap '' TERM
  kill -s TERM -- "-$1"
  sleep 5
  kill -s KILL -- "-$1"
}

# rc_watched PID: run the step, watched, and end with its status.
rc_watched() {
  rc_watch "$1" </dev/null >/dev/null 2>&1 &
  rc_watcher=$!
  (rc_as_root </dev/null)
  rc_status=$?
  kill -s TERM "$rc_watcher"
  wait "$rc_watcher" 2>/dev/null
  return "$rc_status"
}
