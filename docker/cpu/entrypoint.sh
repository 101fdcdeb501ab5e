# What a container of the image begins with: the places that its user can write.
[ -d "$HOME/controller" ] || mkdir -p "$HOME/controller" 2>/dev/null
[ -w /tmp ] || {
  TMPDIR=$HOME/tmp
  mkdir -p "$TMPDIR" 2>/dev/null && export TMPDIR
}
exec "$@"
