# Becoming root through sudo, in a session's own shell. rc_password is set where the user gave
# one; it is never exported and travels through pipes alone.
rc_root=
unset rc_password

# rc_become: once a session, see that this user may run a shell as root, or say why not. Every
# exchange that needs root asks this first, so that nothing has begun when the answer is no.
rc_become() {
  [ -z "$rc_root" ] || return 0
  if [ "$(id -u)" = 0 ]; then
    rc_root=self
  elif ! command -v sudo >/dev/null; then
    rc_frame become
    printf 'sudo is not installed\n'
    return 1
  elif rc_said=$(rc_try_sudo); then
    rc_root=sudo
  else
    rc_frame become
    printf '%s\n' "$rc_said"
    return 1
  fi
}

# rc_try_sudo: one attempt with one password: a wrong one must not count three times.
rc_try_sudo() {
  if [ -z "${rc_password+given}" ]; then
    sudo -n -- /bin/sh -c : 2>&1
  else
    printf '%s\n' "$rc_password" | sudo -k -S -p '' -- /bin/sh -c : 2>&1
  fi
}

# rc_sudo MARK: run the script on standard input as root; its arguments are this shell and its
# input.
# Whether sudo reads the password depends on its tickets and rules. What it leaves unread is
# passed over up to MARK, so that a password is never run as a command.
rc_sudo() {
  if [ "$rc_root" = self ]; then
    /bin/sh -s -- "$$" "$rc_input"
  elif [ -z "${rc_password+given}" ]; then
    sudo -n -- /bin/sh -s -- "$$" "$rc_input"
  else
    { printf '%s\n%s\n' "$rc_password" "$1"; cat; } |
      sudo -S -p '' -- /bin/sh -c '
        exec 2>&1
        while read -r rc_line; do [ "$rc_line" != "$1" ] || exec /bin/sh -s -- "$2" "$3"; done
        exit 1' sh "$1" "$$" "$rc_input" 2>/dev/null
  fi
}
