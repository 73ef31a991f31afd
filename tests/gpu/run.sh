#!/usr/bin/env bash
# Proves the GPU side on a Linux machine with an NVIDIA driver and the CUDA 13 runtime libraries, in under ten minutes, and prints one short table.
#   run.sh [--device cuda:N] [--peak-tflops 989]
# Beside it lie the parts that pack.sh made, or the folder app that join.sh made of them. Needs no .NET, no network; a PyTorch of this machine is timed too.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
device=cuda peak=989
while [ $# -gt 0 ]; do
  case $1 in
    --device) device=$2; shift 2;;
    --peak-tflops) peak=$2; shift 2;;
    *) echo "usage: run.sh [--device cuda:N] [--peak-tflops N]" >&2; exit 2;;
  esac
done
cd "$here"
[ -d app ] || ./join.sh
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
began=$SECONDS failed=0
left() { echo $((560 - (SECONDS - began))); }

# stage NAME SECONDS COMMAND...: at most so long, and never beyond ten minutes in all. A failure is told and the rest goes on.
stage() {
  local name=$1 most=$2; shift 2
  [ "$(left)" -gt 5 ] || { echo "left out, no time: $name" >&2; failed=1; return 0; }
  [ "$most" -lt "$(left)" ] || most=$(left)
  timeout "$most" "$@" || { echo "FAILED (exit code $?): $name" >&2; failed=1; }
}

app/OnnxLlm.Tools doctor
echo
# Before anything else, so that a machine without a usable GPU ends here, in one line.
app/OnnxLlm.GpuCheck verify --device "$device" || { code=$?; [ $code -ne 2 ] || exit 2; failed=1; }
echo
stage "training speed" 150 app/OnnxLlm.GpuCheck train --device "$device" >"$results/ours.json"
if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  number=${device#cuda}; number=${number#:}
  export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-${number:-0}}
  stage "PyTorch, eager" 100 python3 torch_gpt2.py >"$results/torch-eager.json"
  stage "PyTorch, compiled" 150 python3 torch_gpt2.py --compile >"$results/torch-compiled.json"
  unset CUDA_VISIBLE_DEVICES
else
  echo "PyTorch with CUDA is not on this machine: no peer was timed."
fi
stage "decode speed" 90 app/OnnxLlm.GpuCheck decode --device "$device" >"$results/decode.json"
app/OnnxLlm.GpuCheck data "$results/data"
for precision in fp32 bf16 fp16; do
  stage "500 steps in $precision" 60 app/OnnxLlm.Training train curve.json --plain --device "$device" --run "$results/$precision" \
    --set data="$results/data" precision=$precision >"$results/$precision.log"
done
echo
app/OnnxLlm.GpuCheck table "$results" --peak-tflops "$peak"
[ ! -x "$(command -v nvidia-smi)" ] || nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
echo "$(date -u +%Y-%m-%d), $((SECONDS - began)) seconds, $([ $failed -eq 0 ] && echo "every stage ran" || echo "SOMETHING FAILED, see above")"
exit $failed
