# Rolecall's host side: POSIX sh, nothing but coreutils or busybox.
# The controller has set rc_mark, rc_home, rc_run, rc_who and rc_patience before this text. What
# runs as root has the process id of the session's shell and its rc_input as arguments.
LC_ALL=C
export LC_ALL
umask 022
rc_nl='
'

# rc_frame WORD...: start a frame; everything up to the next one is its payload.
rc_frame() { printf '\n%s %s\n' "$rc_mark" "$*"; }

rc_item() { rc_frame item; }

# rc_whole COMMAND: run it in a shell of its own and print all it says at once, but for what
# bash remarks on NUL bytes, which it leaves out.
rc_whole() {
  {
    rc_v=$(
      exec 2>&1
      "$@"
      printf x
    )
  } 2>/dev/null
  printf '%s' "${rc_v%x}"
}

# rc_escape VALUE: fold onto one line, into rc_v.
rc_escape() {
  rc_v='' rc_r=$1
  while :; do
    case $rc_r in
    *\\* | *"$rc_nl"*) ;;
    *) break ;;
    esac
    rc_p=${rc_r%%["$rc_nl"\\]*}
    rc_v=$rc_v$rc_p
    rc_r=${rc_r#"$rc_p"}
    case $rc_r in
    \\*) rc_v=$rc_v'\\' ;;
    *) rc_v=$rc_v'\n' ;;
    esac
    rc_r=${rc_r#?}
  done
  rc_v=$rc_v$rc_r
}

# rc_field NAME VALUE: one line of a probe's answer.
rc_field() {
  rc_escape "$2"
  printf '%s=%s\n' "$1" "$rc_v"
}

# rc_json VALUE: a JSON string without its quotes, into rc_v.
rc_json() {
  rc_v=$(printf '%s' "$1" | sed -e 's/[\\"]/\\&/g' -e 's/	/\\t/g' | tr '\n' ' ')
}

# rc_has ANSWER LINE...: the answer contains every line.
rc_has() {
  rc_a=$rc_nl$1$rc_nl
  shift
  for rc_f; do
    case $rc_a in
    *"$rc_nl$rc_f$rc_nl"*) ;;
    *) return 1 ;;
    esac
  done
}

# rc_clock: set rc_epoch to the seconds since 1970, without a process where /proc tells the time.
rc_clock() {
  if rc_uptime 2>/dev/null; then
    [ -n "${rc_booted:-}" ] || rc_booted=$(($(date +%s) - rc_now))
    rc_epoch=$((rc_booted + rc_now))
  else
    rc_epoch=$(date +%s)
  fi
}

# rc_journal JSON: append one record; JSON is a comma-separated list of members. Where that fails,
# cat tries again and tells why, in rc_said: printf in dash and busybox does not. It begins with a
# line end, since the first attempt may have left half a record.
rc_journal() {
  rc_clock
  rc_line="{\"at\":$rc_epoch,\"run\":\"$rc_run\",$1}"
  if printf '%s\n' "$rc_line" 2>/dev/null >>"$rc_home/journal"; then return 0; fi
  rc_said=$(cat 2>&1 >>"$rc_home/journal" <<RC_RECORD

$rc_line
RC_RECORD
  )
}

# rc_mend_journal: end a line that a crash or a full disk cut short, so that no later record is
# written onto it.
rc_mend_journal() {
  [ -s "$rc_home/journal" ] && [ -n "$(tail -c 1 -- "$rc_home/journal")" ] || return 0
  printf '\n' >>"$rc_home/journal"
}

# rc_claim: where machines or pods share a home (ROLECALL_SHARED), a process id of another says
# nothing here. There the kernel holds the lock too, as long as this shell and its jobs live.
rc_claim() {
  [ -n "${ROLECALL_SHARED:-}" ] || return 0
  rc_said=$({ : >>"$rc_home/lock.held"; } 2>&1) || { printf '%s\n' "$rc_said"; return 1; }
  exec 9>>"$rc_home/lock.held"
  rc_said=$(flock -n 9 2>&1) && rc_claimed=1 && return 0
  rc_status=$?
  exec 9>&-
  if [ "$rc_status" = 1 ]; then
    rc_frame locked
    readlink -- "$rc_home/lock" || printf '%s\n' '?' # it has only just begun, or ends
  else
    printf '%s\n' "$rc_said"
  fi
  return 1
}

# rc_holds HELD: whoever wrote this content of the lock still holds it.
rc_holds() {
  [ -z "$rc_claimed" ] || return 1
  [ -n "${ROLECALL_SHARED:-}" ] || { rc_alive "${1%% *}"; return; }
  [ -e "$rc_home/lock.held" ] || return 1
  flock -n -s "$rc_home/lock.held" true 2>/dev/null
  [ $? = 1 ]
}

# rc_lock: take the host's lock for as long as this shell lives. The lock is a symbolic link,
# made in one step together with its content: IDENTITY SINCE RUN CONTROLLER WHO.
rc_lock() {
  [ -z "$rc_locked" ] || return 0
  (umask 077 && mkdir -p -- "$rc_home") || return 1
  rc_claim || return 1
  rc_mine="$(rc_identity $$) $(date +%s) $rc_run $rc_who"
  until rc_said=$(ln -sn -- "$rc_mine" "$rc_home/lock" 2>&1); do
    rc_held=$(readlink -- "$rc_home/lock") || {
      [ -w "$rc_home" ] || { printf '%s\n' "$rc_said"; return 1; }
      rc_tries=$((${rc_tries:-0} + 1))
      [ "$rc_tries" -lt 20 ] || { printf '%s\n' "$rc_said"; return 1; }
      continue
    }
    if rc_holds "$rc_held"; then
      rc_frame locked
      printf '%s\n' "$rc_held"
      return 1
    fi
    rc_break_lock "$rc_held"
  done
  rc_locked=1
  [ "$rc_patience" = 0 ] || rc_find_input
  rc_mend_journal
  trap rc_unlock EXIT
  trap 'exit 129' HUP
  trap 'exit 143' TERM
}

# rc_find_input: the session's input, into rc_input. A shell keeps what a redirection of a
# function hides (that of rc_main, here) under a number from 10 on.
rc_find_input() {
  [ "$(timeout 1 echo yes 2>/dev/null)" = yes ] || rc_patience=0
  for rc_input in "/proc/$$/fd"/1?; do [ ! -p "$rc_input" ] || return 0; done
  rc_input=
}

# rc_break_lock HELD: remove the lock of a dead run; only one shell at a time may do so.
rc_break_lock() {
  if [ -n "$rc_claimed" ]; then
    rm -f -- "$rc_home/lock.release" "$rc_home/lock.breaking" "$rc_home/lock"
  elif ln -sn -- "$(rc_identity $$)" "$rc_home/lock.breaking" 2>/dev/null; then
    [ "$(readlink -- "$rc_home/lock")" != "$1" ] ||
      rm -f -- "$rc_home/lock.release" "$rc_home/lock"
    rm -f -- "$rc_home/lock.breaking"
  else
    rc_breaker=$(readlink -- "$rc_home/lock.breaking") || return 0
    rc_alive "$rc_breaker" || rm -f -- "$rc_home/lock.breaking"
    sleep 1
  fi
}

# rc_unlock: give the lock up; after a complete destroy, take Rolecall's own records along.
rc_unlock() {
  [ "$(readlink -- "$rc_home/lock")" = "$rc_mine" ] || return 0
  [ -z "$rc_forget" ] || rm -rf -- "$rc_home/jobs" "$rc_home/journal" "$rc_home/lock.held"
  rm -f -- "$rc_home/lock.release" "$rc_home/lock"
  [ -z "$rc_forget" ] || rmdir -- "$rc_home" 2>/dev/null || :
}

# rc_release HELD: ask the shell that holds the lock to give it up. It does so when it waits for
# its controller or follows a job, and else when the step that it runs is over: a shell runs its
# trap only then. Nothing is killed.
rc_release() {
  [ "$(readlink -- "$rc_home/lock")" = "$1" ] && rc_alive "${1%% *}" || return 0
  rm -f -- "$rc_home/lock.release"
  ln -sn -- "$1" "$rc_home/lock.release"
  rc_pid=${1#*:}
  kill -s TERM "${rc_pid%%:*}"
}

# rc_uptime: whole seconds since the boot, into rc_now.
rc_uptime() {
  read -r rc_now rc_rest </proc/uptime && rc_now=${rc_now%%.*}
}

# rc_wait: wait for the next exchange, which begins with a blank; end this shell, and with it
# the lock, once the controller has given no sign of life (a tab) for rc_patience seconds. A
# read without an end would outlive by hours a controller that a network no longer reaches.
rc_wait() {
  [ -n "$rc_locked" ] && [ "$rc_patience" != 0 ] || return 0
  rc_uptime
  rc_heard=$rc_now
  while :; do
    rc_byte=$(timeout 2 dd bs=1 count=1 2>/dev/null)
    rc_status=$?
    case $rc_byte in
    ' ') return ;;
    '')
      [ "$rc_status" != 0 ] || return 0 # the end of the input
      rc_uptime
      [ $((rc_now - rc_heard)) -lt "$rc_patience" ] || exit
      ;;
    *)
      rc_uptime
      rc_heard=$rc_now
      ;;
    esac
  done
}

# rc_deserted: while a step waits for a job, whether the shell that holds the lock has to give it
# up: it was asked to, or its controller has given no sign of life for too long.
rc_deserted() {
  if [ -L "$rc_home/lock.release" ]; then
    rc_asked=$(readlink -- "$rc_home/lock.release")
    case $rc_asked in
    *":$rc_shell:"*) [ "$rc_asked" != "$(readlink -- "$rc_home/lock")" ] || return 0 ;;
    esac
  fi
  [ "$rc_patience" != 0 ] && [ -n "$rc_input" ] || return 1
  rc_uptime
  : "${rc_heard_at:=$rc_now}"
  [ $((rc_now - rc_heard_at)) -ge $((rc_patience / 4)) ] || return 1
  # Nobody else reads the session's input now, and only signs of life are in it.
  if [ -n "$(timeout 1 dd bs=512 count=1 2>/dev/null <"$rc_input")" ]; then
    rc_heard_at=$rc_now
  fi
  [ $((rc_now - rc_heard_at)) -ge "$rc_patience" ]
}

# rc_answer N: the present answer of resource N, into rc_got; like the first answer, together
# with what a program such as sudo remarks.
rc_answer() {
  rc_got=$(
    exec 2>&1
    rc_item() { :; }
    "rc_probe_$1"
  )
}

# rc_moved N: resource N no longer answers as it did; tell how all of them stand now.
rc_moved() {
  rc_halt=1
  rc_frame moved "$1"
  rc_probe_all
}

# rc_same N ANSWER: a satisfied resource must still answer so.
rc_same() {
  rc_answer "$1"
  if [ "$rc_got" = "$2" ]; then rc_frame same "$1"; else rc_moved "$1"; fi
}

# rc_begin RECORD: note a change before it is made; without that note it is not made.
rc_begin() {
  rc_journal "\"state\":\"begin\",$1" && return 0
  rc_halt=1
  rc_frame refused
  printf '%s\n' "$rc_said"
  return 1
}

# rc_ready N ANSWER RECORD: guard a change that the controller itself makes.
rc_ready() {
  rc_answer "$1"
  if [ "$rc_got" != "$2" ]; then
    rc_moved "$1"
  elif rc_begin "$3"; then
    rc_frame ready "$1"
  fi
}

# rc_prove N STATUS LEFT RECORD LINE...: probe again; the answer must now hold every line.
rc_prove() {
  rc_i=$1 rc_status=$2 rc_attempts=$3 rc_record=$4
  shift 4
  rc_answer "$rc_i"
  rc_frame after "$rc_i" "$rc_status" "$rc_attempts"
  printf '%s\n' "$rc_got"
  if [ "$rc_status" = 0 ] && rc_has "$rc_got" "$@"; then
    rc_journal "\"state\":\"done\",$rc_record"
    return 0
  fi
  return 1
}

# rc_change N ANSWER BEGIN DONE TRIES DELAY LINE...: guard, apply, prove.
rc_change() {
  rc_n=$1 rc_want=$2 rc_record_begin=$3 rc_record_done=$4 rc_left=$5 rc_delay=$6
  shift 6
  rc_answer "$rc_n"
  if [ "$rc_got" != "$rc_want" ]; then
    rc_moved "$rc_n"
    return
  fi
  rc_begin "$rc_record_begin" || return
  while :; do
    rc_frame apply "$rc_n"
    (
      set -e
      "rc_apply_$rc_n"
    ) </dev/null
    rc_exit=$?
    ! rc_prove "$rc_n" "$rc_exit" "$rc_left" "$rc_record_done" "$@" || return 0
    [ "$rc_left" -gt 0 ] || break
    rc_left=$((rc_left - 1))
    sleep "$rc_delay"
  done
  rc_halt=1
}
rc_locked=
rc_claimed=
rc_forget=
rc_shell=${1:-$$}
rc_input=${2:-}
