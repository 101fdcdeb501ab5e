# The host's side of a container image.

# rc_image CLIENT REFERENCE ARCHIVE: the probe. An engine that cannot be asked has no image.
rc_image() {
  if [ -n "$3" ] && [ ! -r "$3" ]; then printf 'archive=missing\n'; fi
  if rc_id=$("$1" image inspect --format '{{.Id}}' "$2" 2>/dev/null); then
    printf 'present=yes\n'
    rc_field id "${rc_id#sha256:}"
  else
    printf 'present=no\n'
  fi
}
