# usage: supervise supervise|start|stop|settle|status|note|enable|disable|remove DIR
#        supervise rollback DIR ID
#
# Keeps one program running. DIR holds:
#   settings    what may change while the program runs: one line of assignments
#   start       how to start it: "#=" lines that say what it is made of, then shell functions
#   supervisor  a symbolic link whose target names the supervisor, BOOT:PID:START
#   running     what the present process was started from; its own identity is the first line
#   exits       how often and how it ended since the supervisor started
#   log, log.1  its output, and older output
#   unit        the systemd unit, where systemd keeps the supervisor
#   served/     what became ready: ID.start and ID.settings, copies, where ID is of the copy; and
#               order, which names them with the time of their start, the newest first
# Every process is named by boot, number and start time, so that a number used again after a
# crash or a reboot is never mistaken for ours.

sv_now() { date +%s; }

sv_pause() { sleep 0.1 2>/dev/null || sleep 1; }

sv_note() { printf '%s rolecall: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >>log; }

# sv_progress LABEL DONE TOTAL: a progress line, seconds of TOTAL.
sv_progress() {
  printf '::progress {"label": "%s", "done": %s, "total": %s, "unit": "s"}\n' "$1" "$2" "$3"
}

sv_settings() {
  unit='' ready='' stop_leader='' ready_timeout=60 stop_timeout=10 restart_delay=1 restart_max_delay=30
  restart_reset=60 log_max_bytes=10485760 log_keep=3 log_check=15
  [ ! -r ./settings ] || . ./settings
}

# sv_value FILE NAME: the value of a NAME=VALUE line.
sv_value() { sed -n -e "s/^$2=//p" "$1" 2>/dev/null; }

# sv_end IDENTITY SECONDS: end every process of its session: TERM once, KILL after SECONDS. With
# stop_leader, TERM goes to the process that leads it alone, as long as there is one.
sv_end() {
  sv_left=$(sv_members "$1")
  [ -n "$sv_left" ] || return 0
  sv_number=${1#*:}
  if [ -n "$stop_leader" ] && rc_alive "$1"; then
    kill -TERM "${sv_number%%:*}" 2>/dev/null
  else
    # shellcheck disable=SC2086
    kill -TERM $sv_left 2>/dev/null
  fi
  sv_since=$(sv_now) sv_told=0
  while :; do
    sv_left=$(sv_members "$1")
    [ -n "$sv_left" ] || return 0
    sv_age=$(($(sv_now) - sv_since))
    if [ "$sv_age" -gt "$sv_told" ]; then
      sv_told=$sv_age
      [ -z "$sv_tell" ] || sv_progress stopping "$sv_age" "$2"
    fi
    # shellcheck disable=SC2086
    [ "$sv_age" -lt "$2" ] || kill -KILL $sv_left 2>/dev/null
    [ "$sv_age" -lt $(($2 + 10)) ] || return 1
    sv_pause
  done
}
sv_tell=''

# --- the supervisor ---------------------------------------------------------------------------

# sv_take: become the one supervisor of this directory.
sv_take() {
  sv_me=$(rc_identity $$) || return 1
  until ln -sn -- "$sv_me" supervisor 2>/dev/null; do
    sv_other=$(readlink supervisor) || return 1
    if rc_alive "$sv_other"; then
      sv_note "another supervisor runs already: ${sv_other#*:}"
      return 1
    fi
    rm -f supervisor
  done
}

sv_supervise() {
  umask 077
  sv_child='' sv_restarts=0
  sv_take || exit 1
  trap sv_quit TERM
  sv_settings
  sv_end "$(sed -n 1p running 2>/dev/null)" "$stop_timeout"
  rm -f running exits
  sv_rotate_always &
  sv_wait=$restart_delay
  while :; do
    sv_began=$(sv_now)
    sv_spawn
    wait "$sv_child"
    sv_status=$?
    sv_ended "$sv_status"
    sv_settings
    [ $(($(sv_now) - sv_began)) -lt "$restart_reset" ] || sv_wait=$restart_delay
    sv_note "$(sv_value exits last_exit) after $(($(sv_now) - sv_began)) s;" \
      "starting it again in $sv_wait s"
    sleep "$sv_wait" &
    wait $!
    sv_wait=$((sv_wait * 2))
    [ "$sv_wait" -le "$restart_max_delay" ] || sv_wait=$restart_max_delay
  done
}

# sv_spawn: start the program in a session and an environment of its own. A shell without job
# control lets its background commands ignore INT and QUIT; env gives them back where it can.
sv_spawn() {
  (sv_clean setsid sh ./supervise run .) </dev/null >>log 2>&1 &
  sv_child=$!
}

# sv_ended STATUS: put down how the program ended, and end what it has left behind.
sv_ended() {
  sv_child=''
  sv_restarts=$((sv_restarts + 1))
  if [ "$1" -gt 128 ]; then
    sv_said="ended by signal $(($1 - 128))"
  else
    sv_said="exited with status $1"
  fi
  printf 'restarts=%s\nlast_exit=%s\nlast_at=%s\n' \
    "$sv_restarts" "$sv_said" "$(sv_now)" >exits.new && mv -f exits.new exits
  sv_end "$(sed -n 1p running 2>/dev/null)" "$stop_timeout" ||
    sv_note "processes that it has started cannot be ended: $sv_left"
  sv_beyond . cleanup
}

# sv_quit: what TERM means to the supervisor.
sv_quit() {
  trap '' TERM
  sv_settings
  sv_identity=$(sed -n 1p running 2>/dev/null)
  case $sv_identity in
  *":$sv_child:"*) ;;
  *) [ -z "$sv_child" ] || kill -KILL "$sv_child" 2>/dev/null ;;
  esac
  sv_end "$sv_identity" "$stop_timeout" || sv_note "these cannot be ended: $sv_left"
  sv_beyond . cleanup
  sv_note stopped
  rm -f running supervisor
  # The rotator and any sleep are in this session's own group; TERM is ignored here.
  kill -TERM -$$ 2>/dev/null
  exit 0
}

# sv_rotate_always: keep the log within its bounds. Bytes written between the copy and the
# truncation are lost; that is the price of not standing between the program and its log.
sv_rotate_always() {
  trap - TERM
  while sleep "$log_check"; do
    kill -0 $$ 2>/dev/null || exit 0
    sv_settings
    sv_size=$(wc -c <log 2>/dev/null) || continue
    [ "$((sv_size))" -le "$log_max_bytes" ] || sv_rotate
  done
}

sv_rotate() {
  sv_n=$log_keep
  rm -f "log.$sv_n"
  while [ "$sv_n" -gt 1 ]; do
    [ ! -e "log.$((sv_n - 1))" ] || mv -f "log.$((sv_n - 1))" "log.$sv_n"
    sv_n=$((sv_n - 1))
  done
  if [ "$sv_n" -gt 0 ]; then
    { cp log log.new && mv -f log.new log.1; } 2>/dev/null || rm -f log.new
  fi
  : >log
}

# sv_run: become the program. The record is written before the program exists and names this
# very process, so that a supervisor killed at any moment leaves nothing that cannot be found.
sv_run() {
  umask 077
  sv_text=$(cat start) || exit 1
  eval "$sv_text"
  sv_me=$(rc_identity $$) || exit 1
  {
    printf '%s\nsince=%s\nstarted=%s\n' "$sv_me" "$(sv_now)" "$(sv_id start)"
    printf '%s\n' "$sv_text" | sed -n -e 's/^#=//p' -e t -e q
    sv_declared
  } >running.new && mv -f running.new running || exit 1
  rc_alive "$(readlink supervisor)" || exit 1
  umask 022
  sv_program
}

# --- asked for by a run -----------------------------------------------------------------------

sv_start() {
  rm -f exits
  if [ -n "$unit" ]; then
    sv_systemctl reset-failed "$unit" 2>/dev/null
    sv_systemctl start "$unit" || return 1
  else
    command -v setsid >/dev/null || { echo "this host has no setsid"; return 1; }
    (umask 077 && : >>log) || return 1
    sv_here=$(pwd)
    # It outlives this run, whose environment may hold a secret.
    (sv_clean setsid sh "$sv_here/supervise" supervise "$sv_here") </dev/null >>log 2>&1 \
      3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
  fi
  sv_tries=0
  while sv_look . && [ -z "$sv_up" ]; do
    sv_tries=$((sv_tries + 1))
    if [ "$sv_tries" -ge 100 ]; then
      echo "the supervisor did not start"
      return 1
    fi
    sv_pause
  done
}

# sv_stop: end supervisor and program, whatever state they are in.
sv_stop() {
  sv_tell=1
  if [ -n "$unit" ] && [ -e "$(sv_unit_file "$unit")" ]; then
    sv_systemctl stop "$unit" || return 1
  fi
  sv_look .
  sv_keep=$sv_program
  if [ -n "$sv_up" ]; then
    sv_number=${sv_supervisor#*:}
    kill -TERM "${sv_number%%:*}" 2>/dev/null
    sv_stopping=$(sv_now) sv_told=0
    while rc_alive "$sv_supervisor"; do
      sv_age=$(($(sv_now) - sv_stopping))
      if [ "$sv_age" -gt "$sv_told" ]; then
        sv_told=$sv_age
        sv_progress stopping "$sv_age" "$stop_timeout"
      fi
      [ "$sv_age" -lt $((stop_timeout + 5)) ] || break
      sv_pause
    done
  fi
  [ -z "$sv_supervisor" ] || sv_end "$sv_supervisor" 0
  # A program that was starting when its supervisor died has recorded itself only now.
  for sv_identity in "$sv_keep" "$(sed -n 1p running 2>/dev/null)"; do
    [ -n "$sv_identity" ] || continue
    if ! sv_end "$sv_identity" "$stop_timeout"; then
      printf 'these processes cannot be ended: %s\n' "$sv_left"
      return 1
    fi
  done
  sv_beyond . cleanup >/dev/null
  rm -f running supervisor
}

# sv_await SECONDS RESTARTS: wait until the program is ready; fail when the time is over or when
# it was restarted more often than RESTARTS.
sv_await() {
  sv_waiting=$(sv_now) sv_shown='' sv_calm=0
  while :; do
    sv_look .
    sv_age=$(($(sv_now) - sv_waiting))
    if [ -z "$sv_up" ]; then
      sv_why="its supervisor ended"
      return 1
    elif [ "$(sv_value exits restarts)" != "$2" ]; then
      sv_why="it $(sv_value exits last_exit)"
      return 1
    elif [ "$sv_state" = running ] && sv_is_ready "$ready" && rc_alive "$sv_program"; then
      # Without a test, ready is what runs for a second.
      sv_calm=$((sv_calm + 1))
      if [ -n "$ready" ] || { [ "$sv_calm" -gt 5 ] && [ "$sv_age" -gt 0 ]; }; then return 0; fi
    fi
    if [ "$sv_age" -ge "$1" ]; then
      sv_why="it was not ready within $1 s"
      return 1
    fi
    if [ "$sv_age" != "$sv_shown" ] && [ "$sv_age" -gt 0 ]; then
      sv_shown=$sv_age
      sv_progress "waiting until ready" "$sv_age" "$1"
    fi
    sv_pause
    [ "$sv_age" -lt 5 ] || sv_pause
  done
}

# sv_bring_up: start and wait. What does not come up is stopped again, so that it neither holds
# its port nor crashes on unattended, and the next probe finds it down.
sv_bring_up() {
  sv_from=0
  [ ! -r log ] || sv_from=$(wc -c <log)
  if sv_start; then
    if sv_await "$ready_timeout" ''; then
      sv_served
      return 0
    fi
  else
    sv_why="it could not be started"
  fi
  sv_report="$sv_why; it was stopped again; its whole log: $(pwd)/log"
  sv_stop
  printf 'the end of its log:\n'
  tail -n 12 log | sed -e 's/^/  /'
  sv_errors
  printf '%s\n' "$sv_report"
  return 1
}

# sv_errors: the first lines since sv_from that name an error; the end of a log is often a
# summary or a usage text, far from them.
sv_errors() {
  sv_found=$(
    tail -c "+$((sv_from + 1))" log |
      grep -i -E '(^|[^a-z])(error|fatal|failed|exception|unrecognized|cannot|not found)' |
      head -n 6 | cut -c 1-400 | sed -e 's/^/  /'
  )
  [ -z "$sv_found" ] || printf 'the first lines of it that name an error:\n%s\n' "$sv_found"
}

# sv_settle: the right program runs but is not ready. Give it the rest of its time, at least
# 15 s; a program that has hung is started again.
sv_settle() {
  sv_look .
  sv_rest=$((ready_timeout - ($(sv_now) - $(sv_value running since))))
  [ "$sv_rest" -ge 15 ] || sv_rest=15
  [ "$sv_rest" -le "$ready_timeout" ] || sv_rest=$ready_timeout
  sv_await "$sv_rest" "$(sv_value exits restarts)" && return 0
  printf '%s; starting it again\n' "$sv_why"
  sv_stop && sv_bring_up
}

# --- what was served before -------------------------------------------------------------------

# sv_id FILE: what names a start.
sv_id() { sha256sum <"$1" | cut -c 1-16; }

# sv_served: what runs now is in order: keep a copy of how it was started, the last ten.
sv_served() {
  (
    umask 077
    sv_this=$(sv_id start) || exit
    sv_since=$(sv_value running since)
    mkdir -p served
    cp settings served/settings.new && mv -f served/settings.new "served/$sv_this.settings" &&
      cp start served/start.new && mv -f served/start.new "served/$sv_this.start" &&
      {
        printf '%s %s\n' "$sv_this" "${sv_since:-0}"
        [ ! -r served/order ] || grep -v "^$sv_this " served/order
      } | head -n 10 >served/order.new && mv -f served/order.new served/order
    for sv_file in served/*.start; do
      sv_this=${sv_file#served/}
      sv_this=${sv_this%.start}
      grep -q "^$sv_this " served/order || rm -f "$sv_file" "served/$sv_this.settings"
    done
  )
}

# sv_note_served: a run that was cut short may have left out what has served since.
sv_note_served() {
  sv_look .
  [ "$sv_state" = running ] && [ "$(sv_value running started)" = "$(sv_id start)" ] &&
    sv_is_ready "$ready" && sv_served
  return 0
}

# sv_previous: the line of served/order to go back to: the newest that is not the present start.
sv_previous() {
  [ -r served/order ] || return 0
  sv_this=none
  [ ! -r start ] || sv_this=$(sv_id start)
  grep -v "^$sv_this " served/order | head -n 1
}

# sv_rollback ID: serve again what was served before.
sv_rollback() {
  umask 077
  sv_text=$(cat -- "served/$1.start") || return 1
  sv_gone=$(eval "$sv_text" && sv_requires)
  if [ -n "$sv_gone" ]; then
    printf 'what it was started from is gone: %s\n' "$sv_gone"
    return 1
  fi
  sv_note_served
  sv_stop || return 1
  cp "served/$1.settings" settings.new && mv -f settings.new settings &&
    cp "served/$1.start" start.new && mv -f start.new start || return 1
  sv_settings
  [ -z "$unit" ] || sv_enable || return 1
  sv_bring_up
}

sv_status() {
  sv_look .
  sv_look_beyond .
  printf 'state=%s\n' "$sv_state"
  case $sv_state in
  running | unsupervised)
    sv_number=${sv_program#*:}
    printf 'pid=%s\n' "${sv_number%%:*}"
    sed -n -e '/^since=/p' -e 's/^spec //p' running
    ;;
  esac
  cat exits 2>/dev/null
  if [ "$sv_state" = running ] && sv_is_ready "$ready"; then echo ready=yes; else echo ready=no; fi
  rc_escape "$(pwd)/log"
  printf 'log=%s\n' "$rc_v"
  [ -z "$unit" ] || printf 'unit=%s\n' "$unit"
  sv_line=$(sv_previous)
  [ -n "$sv_line" ] || return 0
  sv_this=${sv_line%% *}
  printf 'previous=%s\nprevious.since=%s\n' "$sv_this" "${sv_line#* }"
  sed -n -e 's/^#=spec command=/previous.command=/p' "served/$sv_this.start"
  rc_escape "$(eval "$(cat "served/$sv_this.start")" && sv_requires)"
  [ -z "$rc_v" ] || printf 'previous.missing=%s\n' "$rc_v"
}

# sv_enable: hand the unit to systemd, and have it started at boot.
sv_enable() {
  sv_file=$(sv_unit_file "$unit")
  mkdir -p -- "${sv_file%/*}" || return 1
  if ! sv_lingers && ! loginctl enable-linger && ! sudo -n loginctl enable-linger "$(id -un)"; then
    printf 'units of %s end with its login; as root: loginctl enable-linger %s\n' \
      "$(id -un)" "$(id -un)"
    return 1
  fi
  sv_tries=0
  until sv_systemctl show-environment >/dev/null 2>&1; do
    sv_tries=$((sv_tries + 1))
    if [ "$sv_tries" -ge 100 ]; then
      echo "systemd does not answer: $(sv_systemctl show-environment 2>&1)"
      return 1
    fi
    sv_pause
  done
  if ! cmp -s unit "$sv_file"; then
    cp unit "$sv_file.new" && chmod 644 "$sv_file.new" && mv -f "$sv_file.new" "$sv_file" || return 1
  fi
  sv_systemctl daemon-reload && sv_systemctl enable --quiet "$unit"
}

# sv_disable: no longer start it at boot; with an argument, take the unit away as well.
sv_disable() {
  [ -n "$unit" ] || return 0
  sv_file=$(sv_unit_file "$unit")
  [ ! -e "$sv_file" ] || sv_systemctl disable --quiet "$unit" || return 1
  [ -n "$1" ] || return 0
  rm -f -- "$sv_file"
  sv_systemctl daemon-reload
}

cd -- "$2" || exit 1
sv_settings
case $1 in
supervise) sv_supervise ;;
run) sv_run ;;
start) sv_bring_up ;;
settle) sv_settle ;;
stop) sv_stop ;;
status) sv_status ;;
note) sv_note_served ;;
rollback) sv_rollback "$3" ;;
enable) sv_enable ;;
disable) sv_disable ;;
remove) sv_stop && sv_disable remove ;;
*) echo "unknown request: $1"; exit 2 ;;
esac
