# Downloads one file, checks its digest and puts it in place; runs as a detached job.
# In front of this come: rc_path, rc_part, rc_record, rc_request, rc_sha, rc_mode, rc_tool,
# rc_size, rc_source, rc_proto.
rc_log=$rc_part.log rc_head=$rc_part.head
umask 022
trap 'rm -f -- "$rc_request" "$rc_log" "$rc_head" "$rc_part.http"' EXIT

rc_bytes() { if [ -f "$1" ]; then stat -c %s -- "$1"; else printf 0; fi; }

rc_progress() {
  printf '::progress {"done":%s,"total":%s,"unit":"B","label":"%s"}\n' "$1" "$2" "$3"
}

# rc_total: the size of the whole file, where the server told it; into rc_size.
rc_total() {
  [ "$rc_size" = 0 ] && [ -f "$rc_head" ] || return 0
  rc_said=$(tr -d '\r' <"$rc_head" | tr A-Z a-z |
    sed -n -e 's/^ *content-range: bytes .*\/\([0-9][0-9]*\)$/\1/p' \
      -e 's/^ *content-length: *\([0-9][0-9]*\)$/+\1/p' | tail -n 2)
  case $rc_said in
  '') ;;
  *"
"[0-9]*) rc_size=${rc_said##*"
"} ;;
  [0-9]*) rc_size=${rc_said%%"
"*} ;;
  *) rc_size=${rc_said##*+} ;;
  esac
}

# rc_settle FILE: when it is the file that is wanted, put it in place and note that it was
# verified. What is noted is taken before the file is read, and survives the renaming.
rc_settle() {
  rc_stat=$(stat -c '%s %y %i' -- "$1")
  rc_progress "$(rc_bytes "$1")" "$(rc_bytes "$1")" verifying
  rc_got=$(sha256sum <"$1")
  rc_got=${rc_got%% *}
  [ "$rc_got" = "$rc_sha" ] || return 1
  if [ -n "$rc_mode" ]; then chmod -- "$rc_mode" "$1"; fi
  if [ "$1" != "$rc_path" ]; then mv -f -- "$1" "$rc_path"; fi
  printf '%s %s\n' "$rc_sha" "$rc_stat" >"$rc_record.new"
  mv -f -- "$rc_record.new" "$rc_record"
}

# rc_run COMMAND...: run it, report the size of the partial file meanwhile; its status comes into
# rc_code. Two minutes without a byte end it: not every tool has a working time-out of its own.
rc_run() {
  "$@" >"$rc_part.http" 2>"$rc_log" &
  rc_pid=$! rc_pause=0.1 rc_last=0 rc_idle=0
  while kill -0 "$rc_pid" 2>/dev/null; do
    sleep "$rc_pause" 2>/dev/null || sleep 1
    rc_pause=0.5
    rc_total
    rc_now=$(rc_bytes "$rc_part")
    rc_progress "$rc_now" "$rc_size" downloading
    if [ "$rc_now" = "$rc_last" ]; then rc_idle=$((rc_idle + 1)); else rc_idle=0; fi
    rc_last=$rc_now
    [ "$rc_idle" -lt 240 ] || kill "$rc_pid" 2>/dev/null || :
  done
  wait "$rc_pid" && rc_code=0 || rc_code=$?
}

rc_get() {
  rm -f -- "$rc_head"
  case $rc_tool in
  copy) rc_run cp -- "$rc_source" "$rc_part" ;;
  curl)
    rc_run curl --config "$rc_request" --fail --location --silent --show-error \
      --proto '=http,https' --proto-redir "=$rc_proto" --connect-timeout 30 --speed-time 60 \
      --speed-limit 1 --continue-at - --dump-header "$rc_head" --output "$rc_part" \
      --write-out '%{http_code}'
    ;;
  wget)
    rc_head=$rc_log
    rc_run wget --continue --tries=1 --timeout=60 --no-verbose --server-response \
      --output-document="$rc_part" --input-file="$rc_request"
    ;;
  busybox) rc_run wget -c -q -O "$rc_part" "$(cat "$rc_request")" ;;
  python3) rc_run python3 -I -c "$rc_python" "$rc_request" "$rc_part" "$rc_head" "$rc_proto" ;;
  esac
}

# rc_fault: what went wrong, into rc_why: space, tls, refused (by the server) or network.
rc_fault() {
  rc_http=$(tail -c 3 "$rc_part.http" 2>/dev/null)
  rc_why=network
  if grep -qiE 'no space left|disk quota|failed writing|cannot write|write error' "$rc_log"; then
    rc_why=space
  elif grep -qiE 'certificate|ssl|tls' "$rc_log"; then
    rc_why=tls
  elif [ "$rc_tool" = copy ]; then
    rc_why=source
  elif [ "$rc_code" = 22 ] || [ "$rc_code" = 33 ] || [ "$rc_code" = 3 ] ||
    grep -qE 'ERROR 4[0-9][0-9]|HTTP/1.[01] 4|Continued download failed|conflicts with' "$rc_log"; then
    case $rc_http in
    5?? | 429 | 408) ;;
    *) rc_why=refused ;;
    esac
  fi
}

rc_give_up() {
  cat "$rc_log"
  case $rc_why in
  space) printf '%s\n' 'the disk is full: free some space and run again; it goes on from where it stopped' ;;
  tls) printf '%s\n' 'no trusted connection: the certificate of the server was not accepted by this host' ;;
  source) printf 'the file %s cannot be read\n' "$rc_source" ;;
  refused) printf '%s\n' 'the server refused: check the address and, where it asks for credentials, the headers' ;;
  *) printf '%s\n' 'the server cannot be reached, or broke off: check the network, the name service and the proxy of this host; what has come is kept, and the next run goes on from there' ;;
  esac
  exit 1
}

if [ -f "$rc_path" ] && [ ! -L "$rc_path" ]; then
  ! rc_settle "$rc_path" || exit 0
  printf 'the file that is there has the digest %s: it is replaced\n' "$rc_got"
fi
[ "$rc_tool" != copy ] || rm -f -- "$rc_part"
rc_tries=0
while :; do
  rc_before=$(rc_bytes "$rc_part")
  rc_get
  rc_after=$(rc_bytes "$rc_part")
  if [ "$rc_code" = 0 ] && [ -f "$rc_part" ]; then
    ! rc_settle "$rc_part" || exit 0
    rm -f -- "$rc_part"
    [ "$rc_before" = 0 ] || {
      printf '%s\n' 'the part that an earlier run left does not fit: starting over'
      continue
    }
    printf 'the file that came is not the one that is wanted: it is corrupt, was tampered with or replaced, and was removed\nexpected sha256 %s\n     got sha256 %s\n' "$rc_sha" "$rc_got"
    exit 1
  fi
  rc_fault
  case $rc_why in
  network)
    if [ "$rc_after" -gt "$rc_before" ]; then
      rc_tries=0
      printf 'the connection broke at %s bytes: going on from there\n' "$rc_after"
      continue
    fi
    rc_tries=$((rc_tries + 1))
    [ "$rc_tries" -lt 3 ] || rc_give_up
    sleep "$rc_tries"
    ;;
  refused)
    # a server refuses to go on where the part is complete, or where it cannot go on at all
    [ "$rc_before" != 0 ] || rc_give_up
    ! rc_settle "$rc_part" || exit 0
    rm -f -- "$rc_part"
    printf '%s\n' 'the server does not let a download go on: starting over'
    ;;
  *) rc_give_up ;;
  esac
done
