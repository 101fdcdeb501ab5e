# Runs a program in a container that is gone when the program is.
# Usage: container.sh CLIENT KIND NAME OPTION... IMAGE COMMAND...
#
# The client stays in the foreground: it passes on the program's output, its exit status, and
# the signals that it gets itself. A container of that name is a left-over of a client that was
# killed: only one is ever wanted, so it goes first.
ct_client=$1 ct_kind=$2 ct_name=$3
shift 3
if [ -z "$XDG_RUNTIME_DIR" ] && [ -d "/run/user/$(id -u)" ]; then
  XDG_RUNTIME_DIR=/run/user/$(id -u)
  export XDG_RUNTIME_DIR
fi
"$ct_client" rm -f "$ct_name" >/dev/null 2>&1
# What it writes belongs to the user that asked.
if [ "$(id -u)" != 0 ]; then
  if [ "$ct_kind" = podman ]; then
    set -- --userns=keep-id --user "$(id -u):$(id -g)" "$@"
  else
    case $("$ct_client" info --format '{{.SecurityOptions}}' 2>/dev/null) in
    *rootless*) ;; # its root is this user
    *) set -- --user "$(id -u):$(id -g)" "$@" ;;
    esac
  fi
fi
exec "$ct_client" run --rm --name "$ct_name" "$@" </dev/null
