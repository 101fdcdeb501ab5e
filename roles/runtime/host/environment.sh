# rt_image_environment: take up what the image sets. Whoever logs in to a container, or starts a
# program there in a clean environment, has lost it; the container's first process has it still.
rt_image_environment() {
  [ -r /proc/1/environ ] || return 0
  while IFS='=' read -r rt_name rt_value; do
    case $rt_name in
    PATH | LD_LIBRARY_PATH | LIBRARY_PATH | LD_PRELOAD | PYTHONPATH | PYTHONIOENCODING | \
      CUDA_* | CUDNN_* | NVIDIA_* | NCCL_* | TRT_* | TRTLLM_* | TRITON_* | TENSORRT_* | TORCH* | \
      OPAL_* | OMPI_* | UCX_* | UCC_* | HPCX_* | OPENMPI_* | TCMALLOC_*) ;;
    *) continue ;;
    esac
    case $rt_name in
    *[!A-Za-z0-9_]*) continue ;;
    esac
    export "$rt_name=$rt_value"
  done <<RT_ENVIRONMENT
$(tr '\000\n' '\n?' </proc/1/environ)
RT_ENVIRONMENT
}
