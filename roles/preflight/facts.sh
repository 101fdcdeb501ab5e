# Facts of a host that serves models: its GPUs, and its shared memory. Without nvidia-smi this
# starts one process, df.

# rc_smi ARG...: what nvidia-smi says, and its status on a line of its own. A driver in trouble
# can hang it, even beyond SIGKILL; then cat ends, which alone holds on to our output, and sh.
rc_smi() {
  if command -v timeout >/dev/null; then
    timeout "$((rc_limit + 2))" sh -c '
      rc_limit=$1
      shift
      { timeout -s KILL "$rc_limit" "$@" 2>&1; echo "status=$?"; } | timeout "$((rc_limit + 1))" cat
    ' sh "$rc_limit" "$rc_nvidia" "$@" 2>/dev/null
  else
    "$rc_nvidia" "$@" 2>&1
    echo "status=$?"
  fi
}

# rc_said_of_gpus TEXT: read the rows of a query; what is no row is a message.
rc_said_of_gpus() {
  while IFS=, read -r rc_index rc_memory rc_driver rc_mig rc_capability rc_name; do
    case $rc_index,$rc_name in
    [0-9]*,?*) rc_gpu ;;
    status=*) rc_status=${rc_index#status=} ;;
    ,) ;;
    *) : "${rc_error:=$rc_index${rc_memory:+,$rc_memory}${rc_driver:+,$rc_driver}}" ;;
    esac
  done <<RC_END
$1
RC_END
}

# rc_gpu: one GPU. Values that it does not know are in brackets, such as [N/A].
rc_gpu() {
  rc_name=${rc_name# } rc_memory=${rc_memory# } rc_capability=${rc_capability# }
  rc_field "gpu.$rc_count.name" "$rc_name"
  case ", $rc_names, " in
  *", $rc_name, "*) ;;
  *) rc_names=${rc_names:+$rc_names, }$rc_name ;;
  esac
  case $rc_memory in
  *[!0-9]* | '')
    # Of GPUs that share the host's memory (GB10), nvidia-smi knows none: DGX Spark known issues.
    case $rc_memory in
    '[N/A]' | '[Not Supported]')
      rc_shared=yes
      rc_memory=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo) / 1024))
      ;;
    *) rc_memory= ;;
    esac
    ;;
  esac
  if [ -n "$rc_memory" ]; then
    rc_field "gpu.$rc_count.memory_mib" "$rc_memory"
    [ "${rc_least:-$rc_memory}" -lt "$rc_memory" ] || rc_least=$rc_memory
  fi
  case $rc_capability in
  [0-9]*.[0-9]*)
    rc_field "gpu.$rc_count.compute_capability" "$rc_capability"
    rc_number=$((${rc_capability%.*} * 100 + ${rc_capability#*.}))
    if [ -z "$rc_oldest" ] || [ "$rc_number" -lt "$rc_oldest_number" ]; then
      rc_oldest=$rc_capability rc_oldest_number=$rc_number
    fi
    ;;
  esac
  case $rc_mig in *Enabled*) rc_sliced=yes ;; esac
  case $rc_driver in *[0-9].[0-9]*) rc_version=${rc_driver# } ;; esac
  rc_count=$((rc_count + 1))
}

# rc_query FIELDS: the rows about all GPUs.
rc_query() {
  rc_said=$(rc_smi "--query-gpu=index,memory.total,driver_version,$1,name" \
    --format=csv,noheader,nounits)
}

# rc_gpus: all GPUs. Driver 470 does not know compute_cap yet; two fields that it does know keep
# the places in its row.
rc_gpus() {
  rc_query mig.mode.current,compute_cap
  case $rc_said in
  *'not a valid field'*) rc_query pci.bus_id,uuid ;;
  esac
  rc_said_of_gpus "$rc_said"
  case $rc_status in
  0) ;;
  '' | 124 | 137 | 143) rc_error="nvidia-smi gave no answer within $rc_limit seconds" ;;
  *) : "${rc_error:=nvidia-smi ended with status $rc_status}" ;;
  esac
  [ -z "$rc_error" ] || rc_field gpu.error "$rc_error"
  [ "$rc_count" -gt 0 ] || return 0
  rc_field gpu.names "$rc_names"
  rc_field gpu.driver "$rc_version"
  rc_field gpu.compute_capability "$rc_oldest"
  rc_said=$(rc_smi -q -d COMPUTE)
  # "CUDA UMD Version" from 610 on; there the older line ends in a remark.
  rc_field gpu.cuda "$(printf '%s\n' "$rc_said" |
    sed -n 's/^CUDA \(UMD \)\{0,1\}Version *: \([0-9][0-9.]*\).*/\2/p' | sed -n '1p')"
  if [ -n "$rc_sliced" ]; then
    rc_slices
  else
    rc_field gpu.memory_mib "$rc_least"
    [ -z "$rc_shared" ] || rc_field gpu.shared_memory yes
  fi
}

# rc_slices: the MIG instances, such as "1g.10gb 3g.40gb". The smallest counts; of the memory in
# its name it has 95 % at least (1g.5gb: 4864 MiB, 1g.10gb: 9.5 GiB, 3g.20gb: 19968 MiB).
rc_slices() {
  rc_found=$(rc_smi -L | sed -n 's/^ *MIG \([0-9][^ ]*\) .*Device.*/\1/p')
  rc_slices='' rc_least=''
  for rc_slice in $rc_found; do
    rc_slices=${rc_slices:+$rc_slices }$rc_slice
    rc_memory=${rc_slice##*.}
    rc_memory=$((${rc_memory%%gb*} * 1024 * 95 / 100))
    [ "${rc_least:-$rc_memory}" -lt "$rc_memory" ] || rc_least=$rc_memory
  done
  rc_field gpu.mig "${rc_slices:-enabled, without instances}"
  rc_field gpu.memory_mib "$rc_least"
}

# rc_shm: the size of /dev/shm, where it is a file system of its own.
rc_shm() {
  df -Pk /dev/shm 2>/dev/null | while read -r rc_device rc_kib rc_used rc_free rc_part rc_place; do
    [ "$rc_place" != /dev/shm ] || rc_field shm_mib "$((rc_kib / 1024))"
  done
}

# rc_memory_limit: what a container may use of the host's memory, where that is less.
rc_memory_limit() {
  for rc_file in "$rc_cgroup/memory.max" "$rc_cgroup/memory/memory.limit_in_bytes"; do
    rc_bytes=
    [ ! -r "$rc_file" ] || read -r rc_bytes <"$rc_file"
    case $rc_bytes in '' | *[!0-9]*) continue ;; esac
    while read -r rc_key rc_kib rc_unit; do
      [ "$rc_key" != MemTotal: ] || [ "$((rc_bytes / 1024))" -ge "$rc_kib" ] ||
        rc_field memory_limit_mib "$((rc_bytes / 1048576))"
    done </proc/meminfo
    return
  done
}

rc_limit=${rc_limit:-30} rc_cgroup=${rc_cgroup:-/sys/fs/cgroup}
rc_count=0 rc_names='' rc_least='' rc_oldest='' rc_oldest_number='' rc_shared='' rc_sliced=''
rc_version='' rc_error='' rc_status=''
rc_nvidia=$(command -v nvidia-smi) || {
  for rc_nvidia in /usr/local/nvidia/bin/nvidia-smi /usr/lib/wsl/lib/nvidia-smi ''; do
    [ ! -x "$rc_nvidia" ] || break
  done
}
[ -z "$rc_nvidia" ] || rc_gpus
rc_field gpu.count "$rc_count"
rc_shm
rc_memory_limit
