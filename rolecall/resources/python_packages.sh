# Installs a list of packages into a virtual environment; runs as a detached job.
# In front of this come: identity.sh (as of any job), rc_venv, rc_markers, rc_find_links, rc_total,
# rc_requirements.
rc_notes=$rc_venv/.rolecall
rc_nl='
'
umask 077
mkdir -p -- "$rc_notes"

# rc_alone: at most one install works on this environment, whatever its list; the note that
# one is under way names its process.
rc_alone() {
  while rc_other=$(cat "$rc_notes/installing" 2>/dev/null) && [ -n "$rc_other" ] &&
    rc_alive "$rc_other"; do
    [ -n "$rc_waited" ] || printf 'waiting for another install into %s to end\n' "$rc_venv"
    rc_waited=1
    sleep 1
  done
}

# rc_sweep: remove what a killed install left: folders pip had set aside, and whatever lies in
# site-packages that no completely installed package has recorded as its own.
rc_sweep() {
  for rc_site in "$rc_venv"/lib/python3*/site-packages; do
    rc_owned=$rc_nl$(
      for rc_record in "$rc_site"/*.dist-info/RECORD; do
        [ ! -f "$rc_record" ] || sed -e 's/^"//' -e 's,[/,].*$,,' "$rc_record" | sort -u
      done | sort -u
    )$rc_nl
    for rc_entry in "$rc_site"/* "$rc_site"/.[!.]*; do
      [ -e "$rc_entry" ] || [ -L "$rc_entry" ] || continue
      case ${rc_entry##*/} in
      __pycache__ | *.pth | _virtualenv.py) continue ;;
      '~'*) rm -rf -- "$rc_entry" ; continue ;;
      esac
      case $rc_owned in
      *"$rc_nl${rc_entry##*/}$rc_nl"*) ;;
      *)
        printf 'removing %s, left by an install that was cut short\n' "${rc_entry##*/}"
        rm -rf -- "$rc_entry"
        ;;
      esac
    done
  done
}

rc_progress() {
  printf '::progress {"done":%s,"total":%s,"unit":"packages","label":"%s"}\n' \
    "$1" "$rc_total" "$2"
}

# rc_normal NAME: the name as the index compares it.
rc_normal() { printf '%s\n' "${1%%\[*}" | tr 'A-Z_.' 'a-z--' | sed 's/--*/-/g'; }

# rc_watch: pass pip's output on, count packages, note what markers leave out, and say at the
# end in plain words what went wrong.
rc_watch() {
  rc_count=0 rc_why='' rc_bad='' rc_in_hashes=''
  : >"$rc_notes/ignored"
  : >"$rc_notes/collected"
  while IFS= read -r rc_line; do
    printf '%s\n' "$rc_line"
    case $rc_line in
    'Requirement already satisfied: '* | 'Collecting '* | 'Processing '*)
      rc_count=$((rc_count + 1))
      rc_name=${rc_line#Collecting }
      rc_name=${rc_name#Requirement already satisfied: }
      case $rc_line in
      Processing*)
        rc_name=${rc_line%% (from *}
        rc_name=${rc_name##*/}
        rc_name=${rc_name%%-[0-9]*}
        ;;
      esac
      rc_normal "${rc_name%%==*}" >>"$rc_notes/collected"
      rc_progress "$rc_count" collecting
      ;;
    'Installing collected packages: '*)
      : >"$rc_notes/began"
      rc_progress "$rc_count" installing
      ;;
    'Ignoring '*": markers '"*)
      rc_total=$((rc_total - 1))
      rc_name=${rc_line#Ignoring }
      rc_normal "${rc_name%%:*}" >>"$rc_notes/ignored"
      ;;
    *'DO NOT MATCH THE HASHES'*) rc_why=hash rc_in_hashes=1 ;;
    *'No space left on device'* | *'Disk quota exceeded'*) rc_why=space ;;
    *'Failed to establish a new connection'* | *'name resolution'* | *'Max retries exceeded'* | \
      *'Connection refused'* | *'timed out'* | *'Network is unreachable'* | *'ProxyError'*)
      [ "$rc_why" = space ] || [ "$rc_why" = hash ] || rc_why=network
      ;;
    *'No matching distribution found for '*)
      rc_bad=${rc_line##*found for }
      [ -n "$rc_why" ] || rc_why=missing
      ;;
    esac
    case $rc_in_hashes$rc_line in
    '1    '*' from '* | '1    '*'==='* | '1    '*'=='*':'*)
      [ -n "$rc_bad" ] || rc_bad=$(printf '%s' "$rc_line" | sed -e 's/^ *//' -e 's/[ :].*$//')
      ;;
    esac
  done
  case $rc_why in
  hash) printf '%s: the file that came is not the one whose hash the list has: it is corrupt or was tampered with; nothing of it was installed\n' "$rc_bad" ;;
  space) printf '%s\n' 'the disk is full: free some space and run again' ;;
  network) printf '%s\n' 'the package index cannot be reached: check the network, the name service and the proxy of this host, or set PIP_INDEX_URL or a pip.conf there' ;;
  missing)
    [ -z "$rc_find_links" ] || {
      printf '%s: %s has no wheel of it for this system and Python\n' \
        "${rc_bad%% *}" "$rc_find_links"
      return
    }
    printf '%s: the package index of this host has no such version, no wheel of it for this system and Python, or did not answer\n' "${rc_bad%% *}"
    ;;
  esac
}

rc_pip() {
  "$rc_venv/bin/python" -I -m pip --no-input --disable-pip-version-check --no-color "$@" 2>&1
}

# rc_install WORD...: pip install, from an index or from the one directory that was given.
rc_install() {
  if [ -n "$rc_find_links" ]; then
    PIP_CONFIG_FILE=/dev/null
    export PIP_CONFIG_FILE
    rc_pip --isolated install --no-index --find-links "$rc_find_links" "$@"
  else
    rc_pip install "$@"
  fi
}

rc_waited=
rc_alone
rc_force=
if [ -e "$rc_notes/installing" ]; then
  rc_force=--force-reinstall
  rc_sweep
fi
rc_identity $$ >"$rc_notes/installing.new"
mv -f -- "$rc_notes/installing.new" "$rc_notes/installing"
rm -f -- "$rc_notes/began"
rc_pip --version >/dev/null || {
  printf 'pip does not work in this environment; putting it back\n'
  "$rc_venv/bin/python" -I -m ensurepip --upgrade
}
rc_requirements >"$rc_notes/requirements.txt"
umask 022
rc_progress 0 resolving
exec 5>&1
rc_status=$(
  {
    {
      rc_install --require-hashes --no-deps --progress-bar off $rc_force \
        -r "$rc_notes/requirements.txt" && rc_end=0 || rc_end=$?
      printf '%s' "$rc_end" >&3
    } | rc_watch >&5
  } 3>&1
)
rm -f -- "$rc_notes/requirements.txt"
if [ "$rc_status" != 0 ]; then
  # pip refused before it touched anything: the environment is as whole as it was
  [ -n "$rc_force" ] || [ -e "$rc_notes/began" ] || rm -f -- "$rc_notes/installing"
  exit "$rc_status"
fi
{
  printf '%s\n' "$rc_markers"
  grep -vxF -f "$rc_notes/collected" "$rc_notes/ignored" || :
} >"$rc_notes/markers"
rm -f -- "$rc_notes/collected" "$rc_notes/ignored" "$rc_notes/began" "$rc_notes/installing"
