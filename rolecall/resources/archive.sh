# Extracts an archive beside its place and renames it in. In front of this come the functions
# that list contents, and rc_archive, rc_path, rc_new, rc_old, rc_sha, rc_strip, rc_wanted_strip,
# rc_manifest, rc_kind. Names are looked at before anything is written, since some tools silently
# alter those that lead outside; links afterwards, when all of them are there to be followed.
umask 022
rc_bad() {
  printf 'the archive is refused, since %s\n' "$1"
  rm -rf -- "$rc_new"
  exit 1
}
# rc_plain: the tar inside; not every tar finds out by itself how it is packed.
rc_plain() {
  case $rc_archive in
  *[gG][zZ]) gzip -dc ;;
  *[bB][zZ]2 | *[tT][bB][zZ]) bzip2 -dc ;;
  *[xX][zZ]) xz -dc ;;
  *[zZ][sS][tT]) zstd -dcq ;;
  *) cat ;;
  esac <"$rc_archive" 2>>"$rc_new/said" || : >"$rc_new/cut"
}
# rc_check_names: no member may lie outside. A busybox takes what leads there off the names and
# says so.
rc_check_names() {
  rc_said=$(grep -i 'removing leading' "$rc_new/said" | head -n 1) || :
  [ -z "$rc_said" ] || rc_bad "a member would be written outside: $rc_said"
  while IFS= read -r rc_name; do
    case /$rc_name/ in
    //* | */../*) rc_bad "a member would be written outside: $rc_name" ;;
    esac
  done
}
# rc_check_links: no symbolic link below the current directory may lead out of it.
rc_check_links() {
  [ -z "$(find . -name "*$rc_nl*" | head -n 1)" ] || rc_bad 'the name of a member holds a newline'
  find . -type l | while IFS= read -r rc_link; do
    rc_to=$(readlink -- "$rc_link")
    case $rc_to in
    /*) rc_bad "a link leads outside: $rc_link -> $rc_to" ;;
    esac
    rc_depth=0 rc_rest=${rc_link#./}
    rc_rest=${rc_rest%"${rc_rest##*/}"}$rc_to/
    while [ -n "$rc_rest" ]; do
      case ${rc_rest%%/*} in
      '' | .) ;;
      ..) rc_depth=$((rc_depth - 1)) ;;
      *) rc_depth=$((rc_depth + 1)) ;;
      esac
      [ "$rc_depth" -ge 0 ] || rc_bad "a link leads outside: $rc_link -> $rc_to"
      rc_rest=${rc_rest#*/}
    done
  done
}
rc_strip_one() {
  mkdir -- "$rc_new/next"
  for rc_top in "$rc_new"/tree/* "$rc_new"/tree/.[!.]* "$rc_new"/tree/..?*; do
    [ -d "$rc_top" ] && [ ! -L "$rc_top" ] || continue
    for rc_entry in "$rc_top"/* "$rc_top"/.[!.]* "$rc_top"/..?*; do
      [ -e "$rc_entry" ] || [ -L "$rc_entry" ] || continue
      rc_to=$rc_new/next/${rc_entry##*/}
      [ ! -e "$rc_to" ] && [ ! -L "$rc_to" ] ||
        rc_bad "without its first folders two members are ${rc_entry##*/}"
      mv -- "$rc_entry" "$rc_to"
    done
  done
  rm -rf -- "$rc_new/tree"
  mv -- "$rc_new/next" "$rc_new/tree"
}
rc_why() {
  cat "$rc_new/said"
  if grep -qE 'No space left|disk full|quota' "$rc_new/said"; then
    printf '%s\n' 'the disk is full: free some space and run again'
  else
    printf '%s cannot be extracted: %s\n' "$rc_archive" \
      'it is not a whole archive of its kind, or the program for it is missing'
  fi
  rm -rf -- "$rc_new"
  exit 1
}

[ -f "$rc_archive" ] || {
  printf 'there is no archive %s\n' "$rc_archive"
  exit 1
}
rm -rf -- "$rc_new" "$rc_old"
mkdir -- "$rc_new"
rc_from=$(rc_extracted_source "$rc_archive" "$rc_sha")
if [ -n "$rc_sha" ]; then
  rc_sum=$(sha256sum <"$rc_archive")
  [ "${rc_sum%% *}" = "$rc_sha" ] ||
    rc_bad "its sha256 is ${rc_sum%% *}, not $rc_sha"
fi
mkdir -- "$rc_new/tree"
if [ "$rc_kind" = tar ]; then
  rc_plain | tar -tf - >"$rc_new/names" 2>>"$rc_new/said" && [ ! -e "$rc_new/cut" ] || rc_why
  rc_check_names <"$rc_new/names"
  rc_plain | tar -x -o -f - -C "$rc_new/tree" >"$rc_new/said" 2>&1 || rc_why
elif command -v unzip >/dev/null; then
  unzip -l "$rc_archive" >"$rc_new/names" 2>"$rc_new/said" || rc_why
  sed -n 's/^ *[0-9][0-9]*  *[-0-9]*  *[0-9:]*   *//p' "$rc_new/names" | rc_check_names
  unzip -q -o "$rc_archive" -d "$rc_new/tree" >"$rc_new/said" 2>&1 </dev/null || rc_why
elif command -v python3 >/dev/null; then
  python3 -I -c '
import sys, zipfile
print("\n".join(zipfile.ZipFile(sys.argv[1]).namelist()))' "$rc_archive" >"$rc_new/names" \
    2>"$rc_new/said" || rc_why
  rc_check_names <"$rc_new/names"
  python3 -I -c '
import os, stat, sys, time, zipfile
archive = zipfile.ZipFile(sys.argv[1])
for member in archive.infolist():
    mode = member.external_attr >> 16
    if stat.S_ISLNK(mode):
        sys.exit("the link %s needs the program unzip" % member.filename)
    path = archive.extract(member, sys.argv[2])
    if not member.is_dir():
        os.chmod(path, 0o755 if mode & 0o100 else 0o644)
        when = time.mktime(member.date_time + (0, 0, -1))
        os.utime(path, (when, when))' "$rc_archive" "$rc_new/tree" >"$rc_new/said" 2>&1 || rc_why
else
  printf 'neither unzip nor python3 is there to extract %s: declare Package("unzip") in front\n' \
    "$rc_archive"
  exit 1
fi
chmod -R u+rwX,go-w,a-s -- "$rc_new/tree"
while [ "$rc_strip" -gt 0 ]; do
  rc_strip_one
  rc_strip=$((rc_strip - 1))
done
(cd -- "$rc_new/tree" && rc_check_links)
rc_list=$(rc_extracted_list "$rc_new/tree")
[ -n "$rc_list" ] || rc_bad 'nothing is in it'
printf '%s\n%s\n%s\n' "$rc_from" "$rc_wanted_strip" "$rc_list" >"$rc_new/tree/$rc_manifest"
[ ! -e "$rc_path" ] || mv -- "$rc_path" "$rc_old"
mv -- "$rc_new/tree" "$rc_path"
rm -rf -- "$rc_new" "$rc_old"
