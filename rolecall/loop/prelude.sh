# Rolecall's host side: POSIX sh, nothing but coreutils or busybox.
# The controller has set rc_mark, rc_home, rc_run and rc_who before this text.
LC_ALL=C
export LC_ALL
umask 022
rc_nl='
'

# rc_frame WORD...: start a frame; everything up to the next one is its payload.
rc_frame() { printf '\n%s %s\n' "$rc_mark" "$*"; }

rc_item() { rc_frame item; }

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

# rc_journal JSON: append one record; JSON is a comma-separated list of members. cat writes,
# because it tells why it cannot; printf in dash and busybox does not.
rc_journal() {
  cat >>"$rc_home/journal" <<RC_RECORD
{"at":"$(date -u +%Y-%m-%dT%H:%M:%SZ)","run":"$rc_run",$1}
RC_RECORD
}

# rc_mend_journal: end a line that a crash or a full disk cut short, so that no later record is
# written onto it.
rc_mend_journal() {
  [ -s "$rc_home/journal" ] && [ -n "$(tail -c 1 -- "$rc_home/journal")" ] || return 0
  printf '\n' >>"$rc_home/journal"
}

# rc_lock: take the host's lock for as long as this shell lives. The lock is a symbolic link,
# made in one step together with its content: IDENTITY SINCE RUN WHO.
rc_lock() {
  [ -z "$rc_locked" ] || return 0
  (umask 077 && mkdir -p -- "$rc_home") || return 1
  rc_mine="$(rc_identity $$) $(date +%s) $rc_run $rc_who"
  until rc_said=$(ln -sn -- "$rc_mine" "$rc_home/lock" 2>&1); do
    rc_held=$(readlink -- "$rc_home/lock") || {
      [ -w "$rc_home" ] || { printf '%s\n' "$rc_said"; return 1; }
      rc_tries=$((${rc_tries:-0} + 1))
      [ "$rc_tries" -lt 20 ] || { printf '%s\n' "$rc_said"; return 1; }
      continue
    }
    if rc_alive "${rc_held%% *}"; then
      rc_frame locked
      printf '%s\n' "$rc_held"
      return 1
    fi
    rc_break_lock "$rc_held"
  done
  rc_locked=1
  rc_mend_journal
  trap rc_unlock EXIT
  trap 'exit 129' HUP
  trap 'exit 143' TERM
}

# rc_break_lock HELD: remove the lock of a dead run; only one shell at a time may do so.
rc_break_lock() {
  if ln -sn -- "$(rc_identity $$)" "$rc_home/lock.breaking" 2>/dev/null; then
    [ "$(readlink -- "$rc_home/lock")" != "$1" ] || rm -f -- "$rc_home/lock"
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
  [ -z "$rc_forget" ] || rm -rf -- "$rc_home/jobs" "$rc_home/journal"
  rm -f -- "$rc_home/lock"
  [ -z "$rc_forget" ] || rmdir -- "$rc_home" 2>/dev/null || :
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
  rc_said=$(rc_journal "\"state\":\"begin\",$1" 2>&1) && return 0
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
rc_forget=
