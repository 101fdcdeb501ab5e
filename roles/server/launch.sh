# Starts Triton from the serving environment, as its supervisor's program.
# Usage: launch.sh PYTHON PROGRAM ARGUMENT...
python=$1
shift
bin=$(dirname -- "$python")
eval "$("$python" -I -c '
import shlex, sysconfig
print("site=" + shlex.quote(sysconfig.get_path("purelib")))
print("libdir=" + shlex.quote(sysconfig.get_config_var("LIBDIR") or ""))
')"
# The stub of Triton's python backend takes its interpreter from the PATH and needs libpython;
# without the library path every stub dies and the server never becomes ready.
PATH=$bin:$site/pytriton/tritonserver/bin:$PATH
LD_LIBRARY_PATH=$site/nvidia_pytriton.libs:$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
PYTHONDONTWRITEBYTECODE=1
export PATH LD_LIBRARY_PATH PYTHONDONTWRITEBYTECODE
program=$(command -v "$1") || {
  echo "error: there is no $1 in the environment of $python"
  exit 127
}
shift
exec "$program" "$@"
