# Installs or removes one package. After this comes a call of rc_apt_do or rc_dnf_do.
rc_kept=$(mktemp)
rc_lists=
trap 'rm -rf -- "$rc_kept" "$rc_kept.status" ${rc_lists:+"$rc_lists"}' EXIT
rc_offline= rc_only=
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND

# rc_try COMMAND...: run it, its output shown as it comes and kept to see what went wrong.
rc_try() {
  { "$@" 2>&1 && printf '0\n' >"$rc_kept.status" || printf '%s\n' "$?" >"$rc_kept.status"; } |
    tee -- "$rc_kept"
  read -r rc_status <"$rc_kept.status"
  [ "$rc_status" = 0 ]
}

# rc_said PATTERN: what ran last said so.
rc_said() { grep -qE -- "$1" "$rc_kept"; }

# rc_explain NAME: say in plain words what went wrong, and end.
rc_explain() {
  if rc_said 'No space left|enough free space|needs [0-9]+[KMG]B'; then
    printf 'the disk of this host is full: free some space and run again\n'
  elif [ -n "$rc_only" ] && rc_said 'Unable to locate|no installation candidate|unmet dep'; then
    printf '%s has not got %s with all that it depends on: %s\n' "$rc_only" "$1" \
      'add it there, or install it by other means'
  elif [ -n "$rc_offline" ] ||
    rc_said 'resolv|onnection (failed|refused|timed out)|ould not connect' ||
    rc_said 'Network is unreachable|Curl error|Cannot download|Failed to download metadata'; then
    printf 'the package sources cannot be reached: %s\n' \
      'check the network, the name service and the proxy of this host'
  elif rc_said 'Could not get lock|Unable to acquire|waiting for.* lock'; then
    printf 'another package manager has kept its lock all the time: %s\n' \
      'wait for it to finish and run again'
  elif rc_said 'Unable to locate package|has no installation candidate' ||
    rc_said 'No match for argument|Unable to find a match'; then
    printf 'no package source of this host offers %s: %s\n' "$1" \
      'check the name, or add the source that has it'
  elif rc_said 'Version .* was not found'; then
    printf 'no package source of this host offers this version of %s; it has:\n' "$1"
    apt-cache madison -- "$1" || :
  fi
  exit 1
}

# rc_apt_from DIR: from here on apt knows the flat repository DIR alone, with lists of its own.
rc_apt_from() {
  rc_only=$1
  [ -r "$1/Packages" ] || {
    printf 'there is no repository of packages in %s\n' "$1"
    exit 1
  }
  rc_lists=$(mktemp -d)
  chmod 755 "$rc_lists"
  mkdir "$rc_lists/none" "$rc_lists/lists" "$rc_lists/lists/partial"
  printf 'deb [trusted=yes] file:%s ./\n' "$1" >"$rc_lists/sources.list"
  cat >"$rc_lists/apt.conf" <<RC_END
Dir::Etc::sourcelist "$rc_lists/sources.list";
Dir::Etc::sourceparts "$rc_lists/none";
Dir::State::lists "$rc_lists/lists";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Sandbox::User "root";
RC_END
  APT_CONFIG=$rc_lists/apt.conf
  export APT_CONFIG
}

# rc_apt LOCK_TIMEOUT WORD...: apt-get, after finishing what an interrupted dpkg left.
rc_apt() {
  rc_wait=$1
  shift
  set -- apt-get -y -o "DPkg::Lock::Timeout=$rc_wait" -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
  ! rc_try "$@" || return 0
  rc_said 'dpkg was interrupted' || return 1
  rc_try dpkg --force-confdef --force-confold --configure -a && rc_try "$@"
}

# rc_apt_do NAME LOCK_TIMEOUT VERB WORD...: the lists of packages are renewed only when the
# package, its version or its file is not to be had without.
rc_apt_do() {
  rc_name=$1 rc_timeout=$2
  shift 2
  case $1$(dpkg-query -W -f '${db:Status-Eflag}' -- "$rc_name" 2>/dev/null) in
  install*reinstreq*) set -- "$@" --reinstall ;;
  esac
  if ! rc_apt "$rc_timeout" "$@"; then
    rc_said 'Unable to locate|no installation candidate|was not found|(Failed|Unable) to fetch' ||
      rc_explain "$rc_name"
    rc_apt "$rc_timeout" update || rc_explain "$rc_name"
    ! rc_said 'Failed to fetch' || rc_offline=1
    rc_apt "$rc_timeout" "$@" || rc_explain "$rc_name"
  fi
  [ "$1" = install ] || return 0
  case $(dpkg-query -W -f '${db:Status-Status}' -- "$rc_name" 2>/dev/null) in
  installed*) ;;
  *)
    printf '%s is not a package but a name that others provide: declare one of those\n' \
      "$rc_name"
    ;;
  esac
}

# rc_dnf_do NAME VERB FULL PINNED: dnf installs no older version than the one that is there; for
# a pinned version that is another verb.
rc_dnf_do() {
  case $2 in
  install) set -- "$1" "$2" "$3" "$4" --setopt=install_weak_deps=False ;;
  *) set -- "$1" "$2" "$3" "$4" --noautoremove ;;
  esac
  rc_try dnf -y "$5" "$2" "$3" || rc_explain "$1"
  [ -z "$4" ] || rpm -q -- "$3" >/dev/null || rc_try dnf -y downgrade "$3" || rc_explain "$1"
}
