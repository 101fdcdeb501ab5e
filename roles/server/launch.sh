# Starts Triton from the serving environment, as its supervisor's program.
# Usage: launch.sh PYTHON OPTION...
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
PATH=$bin:$PATH
LD_LIBRARY_PATH=$site/nvidia_pytriton.libs:$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
PYTHONDONTWRITEBYTECODE=1
export PATH LD_LIBRARY_PATH PYTHONDONTWRITEBYTECODE
exec "$site/pytriton/tritonserver/bin/tritonserver" "$@"
