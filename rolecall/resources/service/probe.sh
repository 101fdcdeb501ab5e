# rc_service DIR UNIT READY N SECRET*N M LISTEN*M FILE...: how the service stands, and what the
# process that runs now was started from. SECRET is a declared "env.NAME=escaped value"; LISTEN
# is "LABEL PATTERN..." with patterns of local addresses as /proc/net/tcp writes them.
rc_service() {
  sv_dir=$1 sv_unit=$2 sv_test=$3 sv_count=$4
  shift 4
  sv_look "$sv_dir"
  sv_look_beyond "$sv_dir"
  printf 'state=%s\n' "$sv_state"
  sv_now=''
  case $sv_state in
  running | unsupervised)
    sv_now=$rc_nl$sv_record$rc_nl
    printf '%s\n' "$sv_record" | sed -n -e 's/^spec //p'
    ;;
  esac
  while [ "$sv_count" -gt 0 ]; do
    if [ -n "$sv_now" ]; then
      case $sv_now in
      *"${rc_nl}secret $1$rc_nl"*) printf '%s=as declared\n' "${1%%=*}" ;;
      *) printf '%s=other\n' "${1%%=*}" ;;
      esac
    fi
    sv_count=$((sv_count - 1))
    shift
  done
  sv_count=$1 sv_taken='' sv_outside=''
  shift
  while [ "$sv_count" -gt 0 ]; do
    sv_listens "$1"
    sv_count=$((sv_count - 1))
    shift
  done
  if [ -n "$sv_now" ] && [ $# -gt 0 ]; then rc_field files "$(sv_compare "$@")"; fi
  [ -z "$sv_taken" ] || rc_field taken "$sv_taken"
  rc_field settings "$(cat -- "$sv_dir/settings" 2>/dev/null)"
  if [ "$sv_state" = running ] && sv_is_ready "$sv_test"; then
    printf 'ready=yes\n'
  else
    printf 'ready=no\n'
  fi
  [ -z "$sv_unit" ] || sv_probe_unit
}

# sv_compare FILE...: whether the files are still what they were when the program started.
sv_compare() {
  sv_differ=$(
    sv_sums "$@" | while read -r sv_line; do
      case $sv_now in
      *"$rc_nl$sv_line$rc_nl"*) ;;
      *)
        sv_line=${sv_line#sum * }
        printf ' %s' "$sv_line"
        ;;
      esac
    done
  )
  if [ -n "$sv_differ" ]; then printf 'changed:%s' "$sv_differ"; else printf 'as started'; fi
}

# sv_listens "LABEL PATTERN...": append to sv_taken who else listens there.
sv_listens() {
  sv_label=${1%% *}
  sv_sockets=$(
    grep -h ' 0A ' /proc/net/tcp /proc/net/tcp6 2>/dev/null |
      while read -r sv_n sv_local sv_a sv_b sv_c sv_d sv_e sv_f sv_g sv_inode sv_rest; do
        set -f
        for sv_p in ${1#* }; do
          # shellcheck disable=SC2254
          case $sv_local in
          $sv_p) printf '%s\n' "$sv_inode" ;;
          esac
        done
      done
  )
  for sv_inode in $sv_sockets; do
    sv_own=''
    if [ -n "$sv_program" ]; then
      for sv_m in $(sv_members "$sv_program"); do
        case $(ls -l "/proc/$sv_m/fd" 2>/dev/null) in
        *"socket:[$sv_inode]"*) sv_own=1 ;;
        esac
      done
    fi
    [ -z "$sv_own" ] || continue
    sv_who=$(
      ls -l /proc/[0-9]*/fd 2>/dev/null |
        sed -n -e '/^\/proc\//h' -e "/socket:\[$sv_inode\]/{g;s/[^0-9]//g;p;q;}"
    )
    if sv_is_beyond "$sv_who" "${sv_label##*:}"; then continue; fi
    if [ -n "$sv_who" ]; then
      sv_comm=$(cat "/proc/$sv_who/comm" 2>/dev/null)
      sv_taken="$sv_taken${sv_taken:+, }$sv_label by process $sv_who ($sv_comm)"
    else
      sv_taken="$sv_taken${sv_taken:+, }$sv_label by a process of another user"
    fi
    return 0
  done
}

# sv_is_beyond PID PORT: is that part of the program, though in no session of ours?
sv_is_beyond() {
  [ -n "$sv_outside" ] || sv_outside=" $(sv_beyond "$sv_dir" outside | tr '\n' ' ')"
  case $sv_outside in
  *" pid $1 "* | *" port $2 "*) return 0 ;;
  esac
  return 1
}

sv_probe_unit() {
  sv_sum=$(sha256sum -- "$(sv_unit_file "$sv_unit")" 2>/dev/null) || sv_sum=absent
  sv_sum=${sv_sum#\\}
  rc_field unit "${sv_sum%% *}"
  if [ "$(sv_systemctl is-enabled "$sv_unit" 2>/dev/null)" = enabled ]; then
    printf 'enabled=yes\n'
  else
    printf 'enabled=no\n'
  fi
  if sv_lingers; then printf 'linger=yes\n'; else printf 'linger=no\n'; fi
}

# rc_rollback DIR TO: how the service stands, and whether the earlier start TO can be gone back to.
rc_rollback() (
  sv_dir=$1 sv_taken='' sv_outside='' ready=''
  sv_look "$sv_dir"
  sv_look_beyond "$sv_dir"
  printf 'state=%s\n' "$sv_state"
  case $sv_state in
  running | unsupervised) printf '%s\n' "$sv_record" | sed -n -e '/^started=/p' ;;
  esac
  [ ! -r "$sv_dir/settings" ] || . "$sv_dir/settings"
  if [ "$sv_state" = running ] && sv_is_ready "$ready"; then
    printf 'ready=yes\n'
  else
    printf 'ready=no\n'
  fi
  if [ -z "$2" ] || [ ! -r "$sv_dir/served/$2.start" ]; then
    printf 'known=no\n'
    return
  fi
  printf 'known=yes\n'
  eval "$(cat -- "$sv_dir/served/$2.start")"
  rc_field missing "$(sv_requires)"
  sv_addresses
  [ -z "$sv_taken" ] || rc_field taken "$sv_taken"
)
