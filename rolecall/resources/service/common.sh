# What the probe and the supervisor share. Needs rc_nl, rc_escape, rc_identity and rc_alive of
# the prelude.

# sv_members BOOT:PID:START: processes of the session that this one leads or led. None after a
# reboot, and none once its number names another process: a number is not given out again while
# a session still goes by it.
sv_members() {
  sv_boot=unknown
  read -r sv_boot </proc/sys/kernel/random/boot_id
  [ "${1%%:*}" = "$sv_boot" ] || return 0
  sv_started=${1##*:}
  sv_leader=${1#*:}
  sv_leader=${sv_leader%%:*}
  sv_seen=$(sed -e 's/^.*) //' "/proc/$sv_leader/stat" 2>/dev/null | cut -d ' ' -f 20)
  case $sv_seen in
  '' | "$sv_started") ;;
  *) return 0 ;;
  esac
  cat /proc/[0-9]*/stat 2>/dev/null |
    sed -n -e "s/^\([0-9]*\) (.*) [^ZX] [0-9-]* [0-9-]* $sv_leader .*/\1/p"
}

# sv_look DIR: sets sv_state, sv_supervisor, sv_program (identities) and sv_record.
#   running       supervisor and program run
#   restarting    the program has ended, its supervisor is about to start it again
#   unsupervised  the program runs, its supervisor was killed
#   leftover      both are gone, but processes that the program had started are not (see also
#                 sv_look_beyond)
#   stopped       nothing runs
sv_look() {
  sv_supervisor=$(readlink -- "$1/supervisor" 2>/dev/null)
  sv_record=$(cat -- "$1/running" 2>/dev/null)
  sv_program=${sv_record%%"$rc_nl"*}
  sv_up='' sv_runs=''
  if [ -n "$sv_supervisor" ] && rc_alive "$sv_supervisor"; then sv_up=1; fi
  if [ -n "$sv_program" ] && rc_alive "$sv_program"; then sv_runs=1; fi
  case $sv_up-$sv_runs in
  1-1) sv_state=running ;;
  1-) sv_state=restarting ;;
  -1) sv_state=unsupervised ;;
  *)
    sv_state=stopped
    if [ -n "$sv_program" ] && [ -n "$(sv_members "$sv_program")" ]; then sv_state=leftover; fi
    ;;
  esac
}

# sv_clean COMMAND...: run in the environment that the program gets.
sv_clean() {
  [ -n "$HOME" ] || HOME=$(
    sed -n -e "s/^[^:]*:[^:]*:$(id -u):[^:]*:[^:]*:\([^:]*\):.*/\1/p" /etc/passwd | head -n 1
  )
  sv_user=$(id -un 2>/dev/null || id -u)
  set -- HOME="$HOME" USER="$sv_user" LOGNAME="$sv_user" PATH="$sv_path" "$@"
  if env --default-signal=INT,QUIT true 2>/dev/null; then
    set -- --default-signal=INT,QUIT "$@"
  fi
  exec env -i "$@"
}
sv_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# sv_beyond DIR OUTSIDE|CLEANUP: run what the service has to say about the part of its program
# that is in no session of ours, such as a container. Nothing for most.
sv_beyond() {
  grep -q '^sv_beyond_' "$1/start" 2>/dev/null || return 0
  (
    sv_beyond_outside='' sv_beyond_cleanup=''
    eval "$(cat -- "$1/start")"
    case $2 in
    outside) sv_text=$sv_beyond_outside ;;
    *) sv_text=$sv_beyond_cleanup ;;
    esac
    if command -v timeout >/dev/null 2>&1; then
      sv_clean timeout 60 /bin/sh -c "$sv_text"
    else
      sv_clean /bin/sh -c "$sv_text"
    fi
  ) </dev/null 2>/dev/null
}

# sv_look_beyond DIR: after sv_look, call that a leftover which nothing of ours runs any more.
sv_look_beyond() {
  if [ "$sv_state" = stopped ] && [ -n "$(sv_beyond "$1" outside)" ]; then sv_state=leftover; fi
}

# sv_sums FILE...: a line "sum DIGEST PATH" for each, with "none" for one that cannot be read.
sv_sums() {
  sv_list=$(
    for sv_f; do
      shift
      if [ -f "$sv_f" ] && [ -r "$sv_f" ]; then set -- "$@" "$sv_f"; fi
    done
    [ $# = 0 ] || sha256sum -- "$@"
  )
  for sv_f; do
    sv_sum=none
    if [ -f "$sv_f" ] && [ -r "$sv_f" ]; then read -r sv_sum sv_rest <&3; fi
    rc_escape "$sv_f"
    printf 'sum %s %s\n' "${sv_sum#\\}" "$rc_v"
  done 3<<SV_LIST
$sv_list
SV_LIST
}

# sv_missing PATH...: the first of these that is not there.
sv_missing() {
  for sv_need; do
    if [ ! -e "$sv_need" ]; then
      printf '%s\n' "$sv_need"
      return 0
    fi
  done
}

# sv_is_ready TEST: an empty test always succeeds; one that hangs counts as failed.
sv_is_ready() {
  [ -n "$1" ] || return 0
  if command -v timeout >/dev/null 2>&1; then
    timeout 10 /bin/sh -c "$1" </dev/null >/dev/null 2>&1
  else
    (eval "$1") </dev/null >/dev/null 2>&1
  fi
}

# sv_systemctl ARGUMENT...: the system's manager for root, the user's own otherwise.
sv_systemctl() {
  if [ "$(id -u)" = 0 ]; then
    systemctl "$@"
  else
    XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)} systemctl --user "$@"
  fi
}

# sv_unit_file UNIT: where its file belongs.
sv_unit_file() {
  if [ "$(id -u)" = 0 ]; then
    printf '/etc/systemd/system/%s' "$1"
  else
    printf '%s/systemd/user/%s' "${XDG_CONFIG_HOME:-$HOME/.config}" "$1"
  fi
}

# sv_lingers: units of this user outlive the login.
sv_lingers() { [ "$(id -u)" = 0 ] || [ -e "/var/lib/systemd/linger/$(id -un)" ]; }
