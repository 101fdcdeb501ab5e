# Starts what an image, or a place made from one, has installed.
# Usage: launch_installed.sh ENVIRONMENT TRITONSERVER PROGRAM ARGUMENT...
#
# ENVIRONMENT is empty, or a file that defines rt_image_environment (role runtime);
# TRITONSERVER is empty, or the server's path where it is not in Triton's own place or the PATH.
if [ -n "$1" ]; then
  . "$1"
  rt_image_environment
fi
if [ -n "$2" ]; then
  PATH=$(dirname -- "$2"):$PATH
else
  PATH=/opt/tritonserver/bin:$PATH
fi
export PATH
shift 2
for program in "$1" tritonserver; do
  command -v "$program" >/dev/null || {
    echo "error: there is no $program here, neither in /opt/tritonserver/bin nor on the PATH $PATH"
    exit 127
  }
done
program=$(command -v "$1")
shift
exec "$program" "$@"
