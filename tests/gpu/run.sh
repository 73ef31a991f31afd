#!/usr/bin/env bash
# Proves the GPU side on a Linux machine with an NVIDIA driver and the CUDA 13 runtime libraries, in under ten minutes, and prints one short table.
#   run.sh [--device cuda:N] [--results FOLDER] [--seconds 560] [--peak-tflops 989] [--peak-bandwidth 4800] [--tiny] [STAGE ...]
# Beside it lie the parts that pack.sh made, or the folder app that join.sh made of them. Needs no .NET, no network; a PyTorch of this machine is timed too.
# Stages: verify train torch-eager torch-compiled decode serve profile speed curve-fp32 curve-bf16 curve-fp16 resume oom recompute kernels; all where none is named.
# --seconds counts from the start of this script, joining the parts included: a stage that would end later is cut short or left out, and the table is printed.
# The table shows what is in FOLDER, from earlier calls too. With --device cpu --tiny every stage runs small anywhere, which proves this script.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
device=cuda peak=989 bandwidth=4800 seconds=560 results=$here/results size=() only=()
usage() { grep -m1 '^#   run.sh' "$0" | tr -d '#' >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --device | --results | --seconds | --peak-tflops | --peak-bandwidth) [ $# -gt 1 ] || usage;;&
    --device) device=$2; shift;;
    --results) results=$2; shift;;
    --seconds) seconds=$2; shift;;
    --peak-tflops) peak=$2; shift;;
    --peak-bandwidth) bandwidth=$2; shift;;
    --tiny) size=(--tiny);;
    -*) usage;;
    *) only+=("$1");;
  esac
  shift
done
mkdir -p "$results" && results=$(realpath "$results")
cd "$here"
[ -d app ] || ./join.sh
python=${PYTHON:-python3} number=${device#cuda}; number=${number#:}
failed=0
left() { echo $((seconds - SECONDS)); }
program() { if [ -x "app/$1" ]; then echo "app/$1"; else echo "dotnet app/$1.dll"; fi; }
tools=$(program OnnxLlm.Tools) check=$(program OnnxLlm.GpuCheck) training=$(program OnnxLlm.Training)

# NVIDIA's libraries where the loader does not look: the toolkit's folder, the driver's, and those that PyTorch's wheels bring.
find_libraries() {
  local name file site
  LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}
  site=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' 2>/dev/null || true)
  for name in libcuda.so.1 libnvidia-ml.so.1 libcudart.so.13 libcublasLt.so.13 libcublas.so.13 libcurand.so.10; do
    /sbin/ldconfig -p 2>/dev/null | grep -q "$name" && continue
    case ":$LD_LIBRARY_PATH:" in *":$(dirname "$(found "$name" ${LD_LIBRARY_PATH//:/ })"):"*) continue;; esac
    file=$(found "$name" /usr/local/cuda/lib64 /usr/local/cuda*/targets/*/lib /usr/local/nvidia/lib64 /usr/local/nvidia/lib ${site:+"$site"/nvidia/*/lib "$site"/nvidia/*/*/lib})
    [ -z "$file" ] || LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$(dirname "$file")
  done
}
found() { local name=$1 folder; shift; for folder; do [ ! -e "$folder/$name" ] || { echo "$folder/$name"; return; }; done; }

# stage NAME SECONDS COMMAND...: at most so long, and never beyond the time of all. A failure is told, noted for the table, and the rest goes on.
stage() {
  local name=$1 most=$2 start=$SECONDS code=0 outcome=ok; shift 2
  wanted "$name" || return 0
  if [ "$(left)" -le 5 ]; then
    outcome="left out, no time" code=124
  else
    [ "$most" -lt "$(left)" ] || most=$(left)
    timeout -k 5 "$most" "$@" >"$results/$name.json" 2>"$results/$name.log" || code=$?
    case $code in
      0) ;;
      124 | 137) outcome="stopped after $most s";;
      *) outcome="exit code $code: $(reason "$name")";;
    esac
  fi
  [ $code -eq 0 ] || failed=1
  note "$name" $((SECONDS - start)) "$outcome"
}
# The last thing that a stage said, without the places of a stack trace.
reason() { cat "$results/$1.json" "$results/$1.log" | sed '/^ *at /d; s/\t/ /g' | tail -1; }
wanted() { [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $1 "* ]]; }
note() {
  [ ! -f "$results/stages.tsv" ] || sed -i "/^$1\t/d" "$results/stages.tsv"
  printf '%s\t%s\t%s\n' "$@" | tee -a "$results/stages.tsv"
}

before=${LD_LIBRARY_PATH:-}
[[ $device == cpu ]] || find_libraries
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}
$tools doctor
echo
# Before anything else, so that a machine without a usable GPU ends here, in one line.
stage verify 150 $check verify --device "$device"
cat "$results/verify.json" 2>/dev/null || true
[[ $device == cpu ]] || ! grep -s 'cannot be used' "$results/verify.log" >&2 || exit 2

stage train 150 $check train --device "$device" "${size[@]}"
if "$python" -c 'import torch' 2>/dev/null; then
  peer() { stage "$1" "$2" env ${number:+CUDA_VISIBLE_DEVICES=$number} LD_LIBRARY_PATH="$before" "$python" torch_gpt2.py --device "${device%%:*}" "${size[@]}" "${@:3}"; }
  peer torch-eager 90
  peer torch-compiled 150 --compile
else
  echo "PyTorch is not on this machine: no peer is timed."
fi
stage decode 90 $check decode --device "$device" "${size[@]}"
stage serve 90 $check serve --device "$device" "${size[@]}"
stage profile 90 $check profile --device "$device" "${size[@]}"
stage speed 60 $check speed --device "$device" "${size[@]}"
short=()
[ ${#size[@]} -eq 0 ] || short=(steps=60 global_batch=2 micro_batch=2)
[ -d "$results/data" ] || $check data "$results/data"
for precision in fp32 bf16 fp16; do
  ! wanted curve-$precision || rm -rf "$results/$precision"
  stage curve-$precision 60 $training train curve.json --plain --device "$device" --run "$results/$precision" --set data="$results/data" precision=$precision "${short[@]}"
done
# A run straight on beside a copy of it that has lost its last checkpoint and goes on from the one before.
stage resume 150 bash -ec '
  rm -rf "$1/straight" "$1/resumed"
  $0 train curve.json --plain --device "$2" --run "$1/straight" --set data="$1/data" precision=bf16 "${@:3}" steps=40 checkpoint_every=20 2>&1
  cp -r "$1/straight" "$1/resumed"
  rm -r "$1/resumed/checkpoints/step-00000040"
  $0 resume "$1/resumed" --plain 2>&1' "$training" "$results" "$device" "${short[@]}"
# Less memory than a micro-batch takes: it must be halved, and the run go on.
! wanted oom || rm -rf "$results/oom"
stage oom 60 $training train curve.json --plain --device "$device" --run "$results/oom" --set data="$results/data" precision=bf16 steps=5 schedule.warmup_steps=0 global_batch=16 micro_batch=16 memory_limit_mb=150
stage recompute 120 $check train --device "$device" --recompute "${size[@]}"
ncu=$(command -v ncu || found ncu /usr/local/cuda/bin /opt/nvidia/nsight-compute/*)
if [[ $device != cpu && -n $ncu ]]; then
  stage kernels 120 "$ncu" --csv --page raw --metrics gpu__time_duration.sum --clock-control none --profile-from-start off \
    --target-processes all $check train --device "$device" --single "${size[@]}"
elif [[ $device != cpu ]] && wanted kernels; then
  note kernels 0 "not measured, Nsight Compute (ncu) is not on this machine"
fi
echo
{
  $check table "$results" --peak-tflops "$peak" --peak-bandwidth "$bandwidth"
  card=$([ ! -x "$(command -v nvidia-smi)" ] || nvidia-smi --id="${number:-0}" --query-gpu=name,driver_version --format=csv,noheader | sed 's/, /, driver /; s/^/, /')
  echo "- measured on $(date -u +%Y-%m-%d)${card:-, $device}"
} | tee "$results/table.md"
echo "$(date -u +%Y-%m-%d), $SECONDS seconds, $([ $failed -eq 0 ] && echo "every stage ran" || echo "SOMETHING FAILED, see above")"
exit $failed
