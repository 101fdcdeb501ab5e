# Long work that outlives the session that started it. A job lives in $rc_home/jobs/NAME:
# run (its text), identity (its process; made by a link, which only one start can make), log,
# exit (its status, written as the last act).

# rc_job NAME TEXT: start the job unless it already runs, follow it, end with its status.
rc_job() {
  rc_dir=$rc_home/jobs/$1
  (umask 077 && mkdir -p -- "$rc_dir") || return 1
  rc_jobid=
  [ ! -r "$rc_dir/identity" ] || rc_jobid=$(cat "$rc_dir/identity")
  if [ ! -f "$rc_dir/exit" ] && rc_alive "$rc_jobid"; then
    rc_frame job "$1" attached
    printf 'attached to job %s, which is already running\n' "$1"
    rc_from=$(($(wc -c <"$rc_dir/log") - $(tail -n 5 "$rc_dir/log" | wc -c)))
  else
    # An identity that was not seen stays: it is a start whose controller died, just waking up.
    if [ -n "$rc_jobid" ]; then
      rc_reap "$rc_jobid"
      rm -f -- "$rc_dir/identity"
    fi
    rm -f -- "$rc_dir/exit"
    [ ! -f "$rc_dir/log" ] || mv -f -- "$rc_dir/log" "$rc_dir/log.1"
    # cat writes, because it tells why it cannot; printf in dash and busybox does not. The blanks
    # keep room on the disk for the status, and for the identity.
    (
      umask 077 && : >"$rc_dir/log" && cat >"$rc_dir/run" &&
        printf '%16s\n' '' | cat >"$rc_dir/exit.new" &&
        printf '%64s\n' '' | cat >"$rc_dir/room"
    ) <<RC_TEXT || return 1
$2
RC_TEXT
    rm -f -- "$rc_dir/room"
    rc_detach /bin/sh "$rc_dir/run" "$rc_dir" </dev/null >>"$rc_dir/log" 2>&1 &
    rc_waits=0
    until [ -s "$rc_dir/identity" ] || [ -f "$rc_dir/exit" ]; do
      rc_waits=$((rc_waits + 1))
      if [ "$rc_waits" -gt 100 ]; then
        printf 'the job did not start:\n'
        cat "$rc_dir/log"
        return 1
      fi
      sleep 0.05 2>/dev/null || sleep 1
    done
    rc_frame job "$1" started
    rc_from=0
  fi
  rc_follow "$rc_dir" "$rc_from"
}

# rc_reap IDENTITY: end what a killed job left running. As long as any of it runs, the kernel
# gives the number of its process group to no other process.
rc_reap() {
  rc_pid=${1#*:}
  rc_pid=${rc_pid%%:*}
  rc_identity "$rc_pid" >/dev/null && return 0
  [ "$rc_boot" = "${1%%:*}" ] || return 0
  case $rc_start in
  '' | "Z ${1##*:}") kill -s KILL -- "-$rc_pid" 2>/dev/null || : ;;
  esac
}

# rc_detach COMMAND...: run in a session of its own, which no hang-up and no Ctrl-C reaches.
rc_detach() {
  if command -v setsid >/dev/null; then exec setsid "$@"; else exec nohup "$@"; fi
}

# rc_ping LOG: say that all is well, unless that broke a line of LOG in two. A quiet job would
# else not let its follower notice that nobody listens any more, and the lock would be held on.
rc_ping() { [ -n "$(tail -c 1 "$1")" ] || rc_frame ping; }

# rc_follow DIR FROM: print the log from byte FROM until the job ends; end with its status.
rc_follow() {
  rc_at=$2
  rc_jobid=$(cat "$1/identity" 2>/dev/null)
  rc_pid=${rc_jobid#*:}
  rc_pid=${rc_pid%%:*}
  rc_pings=0
  rc_heard_at=
  while :; do
    rc_over=
    if [ -f "$1/exit" ] || [ ! -d "/proc/$rc_pid" ]; then rc_over=1; fi
    rc_size=$(wc -c <"$1/log")
    if [ "$rc_size" -gt "$rc_at" ]; then
      tail -c "+$((rc_at + 1))" "$1/log" | head -c "$((rc_size - rc_at))"
      rc_at=$rc_size
    fi
    [ -z "$rc_over" ] || break
    rc_pings=$((rc_pings + 1))
    if [ $((rc_pings % 5)) = 0 ]; then
      rc_ping "$1/log"
      if rc_deserted; then
        printf 'nobody follows the job any more; it goes on\n'
        kill -s TERM "$rc_shell"
        exit 143 # nothing of the step behind this: the job is not over
      fi
    fi
    sleep 0.2 2>/dev/null || sleep 1
  done
  [ -f "$1/exit" ] || sleep 1
  if [ -f "$1/exit" ]; then
    read -r rc_status <"$1/exit"
  else
    rc_reap "$rc_jobid"
    printf '\nthe job was killed before it could end\n'
    rc_status=137
  fi
  [ "$rc_status" = 0 ] || rc_room "$1"
  return "$rc_status"
}

# rc_room DIR: say so if the disk is full, because then the job could not.
rc_room() {
  head -c 65536 /dev/zero | cat >"$1/room" || :
  rm -f -- "$1/room"
}

# rc_live_jobs: the names of the jobs that run.
rc_live_jobs() {
  for rc_dir in "$rc_home"/jobs/*/; do
    [ -r "$rc_dir/identity" ] && [ ! -f "$rc_dir/exit" ] || continue
    rc_alive "$(cat "$rc_dir/identity")" || continue
    rc_dir=${rc_dir%/}
    printf '%s\n' "${rc_dir##*/}"
  done
}

# rc_stop_job NAME: end a job with all that it started; insist after five seconds.
rc_stop_job() {
  rm -rf -- "$rc_home/jobs/$1/secrets"
  for rc_signal in TERM KILL; do
    rc_live_jobs | grep -qxF -- "$1" || return 0
    rc_jobid=$(cat "$rc_home/jobs/$1/identity")
    rc_pid=${rc_jobid#*:}
    printf 'stopping job %s\n' "$1"
    kill -s "$rc_signal" -- "-${rc_pid%%:*}" 2>/dev/null || :
    rc_waits=0
    while rc_live_jobs | grep -qxF -- "$1" && [ "$rc_waits" -lt 50 ]; do
      rc_waits=$((rc_waits + 1))
      sleep 0.1 2>/dev/null || sleep 1
    done
  done
}

# rc_stop_jobs: end every job that runs.
rc_stop_jobs() {
  for rc_name in $(rc_live_jobs); do rc_stop_job "$rc_name"; done
}
