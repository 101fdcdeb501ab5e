# What a container of the image begins with: a place for temporary files.
[ -w /tmp ] || {
  TMPDIR=$HOME/tmp
  mkdir -p "$TMPDIR" 2>/dev/null && export TMPDIR
}
exec "$@"
