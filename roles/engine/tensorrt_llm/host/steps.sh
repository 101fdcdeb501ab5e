# The host's side of a conversion or a build. The build that sources this has defined in_runtime,
# rc_diagnose, and $OUT, the directory that it fills.

# rc_report DONE TOTAL LABEL
rc_report() {
  printf '::progress {"done": %s, "total": %s, "unit": "ranks", "label": "%s"}\n' "$1" "$2" "$3"
}

# rc_tell LABEL TOTAL MARK: pass on what a tool says, keep it, and report each rank. A progress bar
# is one line to the tool; only its last state is of interest. MARK ends each rank, if it is known.
rc_tell() {
  rc_return=$(printf '\r')
  rc_done=0
  while IFS= read -r rc_line || [ -n "$rc_line" ]; do
    rc_line=${rc_line%"$rc_return"}
    rc_line=${rc_line##*"$rc_return"}
    printf '%s\n' "$rc_line"
    printf '%s\n' "$rc_line" >&3
    case $3,$rc_line in
    ,*) ;;
    *,*"$3"*)
      rc_done=$((rc_done + 1))
      [ "$rc_done" -gt "$2" ] || rc_report "$rc_done" "$2" "$1"
      ;;
    esac
  done 3>>"$OUT/build.log"
}

# rc_step LABEL TOTAL MARK COMMAND...: run a command in the runtime; explain its failure.
rc_step() {
  rc_label=$1 rc_total=$2 rc_mark=$3
  shift 3
  printf 'running:'
  printf ' %s' "$@"
  printf '\n'
  rc_report 0 "$rc_total" "$rc_label"
  {
    if in_runtime "$@" 2>&1 </dev/null; then rc_status=0; else rc_status=$?; fi
    printf '%s\n' "$rc_status" >"$OUT/status"
  } | rc_tell "$rc_label" "$rc_total" "$rc_mark"
  read -r rc_status <"$OUT/status"
  rm -f -- "$OUT/status"
  [ "$rc_status" = 0 ] || {
    rc_diagnose "$rc_label" "$rc_status" "$OUT/build.log"
    exit 1
  }
}

# rc_ranks TOTAL SUFFIX: every rank was written.
rc_ranks() {
  rc_rank=0
  while [ "$rc_rank" -lt "$1" ]; do
    [ -s "$OUT/rank$rc_rank.$2" ] || {
      printf 'error: rank%s.%s is missing: only a part of the %s ranks was made\n' \
        "$rc_rank" "$2" "$1"
      printf '  next: the lines above say more; a rank that was killed leaves no message\n'
      exit 1
    }
    rc_rank=$((rc_rank + 1))
  done
  [ ! -e "$OUT/rank$1.$2" ] || {
    printf 'error: there are more than the %s ranks that tp_size and pp_size make\n' "$1"
    printf '  next: remove the flags that set them a second time\n'
    exit 1
  }
}
