# Process 1 of a build's container: the kernel ignores TERM for it unless it is caught, so that a
# cancelled build would go on. Whatever is left ends with process 1.
# Usage: init.sh COMMAND...
trap 'kill -TERM "$it_child" 2>/dev/null; it_told=1' TERM INT
"$@" &
it_child=$!
while :; do
  wait "$it_child"
  it_status=$?
  [ -n "$it_told" ] || break
  it_waits=0
  while kill -0 "$it_child" 2>/dev/null && [ "$it_waits" -lt 3 ]; do
    sleep 1
    it_waits=$((it_waits + 1))
  done
  it_status=143
  break
done
exit "$it_status"
