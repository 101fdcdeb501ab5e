# rc_identity PID: name a process beyond the reuse of its number: BOOT:PID:START.
rc_identity() {
  read -r rc_boot </proc/sys/kernel/random/boot_id || rc_boot=unknown
  rc_start=$(sed -e 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 1,20)
  case $rc_start in
  '' | Z*) return 1 ;;
  esac
  printf '%s:%s:%s' "$rc_boot" "$1" "${rc_start#* }"
}

# rc_alive BOOT:PID:START: that very process still runs.
rc_alive() {
  rc_pid=${1#*:}
  [ -n "$1" ] && [ "$(rc_identity "${rc_pid%%:*}")" = "$1" ]
}
