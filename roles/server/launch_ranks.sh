# Runs Triton's ranks under mpirun, so that they are stopped as one server is.
# Usage: launch_ranks.sh SECONDS MPIRUN ARGUMENT...
#
# mpirun itself answers TERM by ending its ranks within a second and with status 1, whatever they
# were doing; told to wait longer (odls_base_sigkill_timeout) it always waits that long, twice
# (Open MPI 4.1.4, tried). So TERM goes to the servers, which finish what is in flight; mpirun
# then ends by itself, and its status is theirs: 0, or that of the first that failed. What is
# left after SECONDS is mpirun's to end.
seconds=$1
shift
told=
trap 'told=1' TERM INT
"$@" &
mpirun=$!

# servers: the tritonserver processes of this session.
servers() {
  session=$(sed -e 's/^.*) //' "/proc/$$/stat" | cut -d ' ' -f 4)
  cat /proc/[0-9]*/stat 2>/dev/null |
    sed -n -e "s/^\([0-9]*\) (tritonserver) [^ZX] [0-9-]* [0-9-]* $session .*/\1/p"
}

finish() {
  trap '' TERM INT
  found=$(servers)
  # shellcheck disable=SC2086
  kill -TERM ${found:-$mpirun} 2>/dev/null
  waits=0
  while kill -0 "$mpirun" 2>/dev/null && [ "$waits" -lt "$seconds" ]; do
    sleep 1
    waits=$((waits + 1))
    # mpirun is reaped below; until then it answers signals as a zombie.
    case $(sed -e 's/^.*) //' "/proc/$mpirun/stat" 2>/dev/null) in '' | Z*) break ;; esac
  done
  kill -TERM "$mpirun" 2>/dev/null
}

wait "$mpirun"
status=$?
if [ -n "$told" ]; then
  finish
  wait "$mpirun"
  status=$?
fi
exit "$status"
