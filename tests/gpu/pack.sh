#!/usr/bin/env bash
# Packs the programs, .NET, and the CUDA provider for machines without network: parts of at most 55 MB, with what joins and runs them.
#   pack.sh FOLDER [CAPABILITY]
# CAPABILITY, as 90 for compute capability 9.0 (H100, H200), empties the provider's kernels for other GPUs: a third of the size.
# XZ_OPT chooses the compression (-9 -T0 where it is not set).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:?usage: pack.sh FOLDER [CAPABILITY]}
mkdir -p "$out" && out=$(realpath "$out")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"
for project in tools/OnnxLlm.Tools training/OnnxLlm.Training serving/OnnxLlm.Serving tests/OnnxLlm.GpuCheck; do
  dotnet publish "$project" -c Release -r linux-x64 --self-contained -p:Accelerator=cuda -p:DebugType=none --artifacts-path "$work/artifacts" -o "$work/app" >"$work/log" || { tail -20 "$work/log"; exit 1; }
done
for file in libonnxruntime.so libonnxruntime_providers_shared.so libonnxruntime_providers_cuda.so libcoreclr.so OnnxLlm.Tools OnnxLlm.Training OnnxLlm.Serving OnnxLlm.GpuCheck; do
  [ -f "$work/app/$file" ] || { echo "the published folder lacks $file" >&2; exit 1; }
done
[ -z "${2:-}" ] || "$work/app/OnnxLlm.GpuCheck" trim "$work/app/libonnxruntime_providers_cuda.so" "$2"
rm -f "$work"/app/*.xml "$out"/app.tar.xz.*
tar -C "$work" --owner=0 --group=0 --sort=name -cf - app | XZ_OPT=${XZ_OPT:--9 -T0} xz | split -b 55000000 -d -a 3 - "$out/app.tar.xz."
cp tests/gpu/run.sh tests/gpu/join.sh tests/gpu/torch_gpt2.py tests/gpu/curve.json "$out/"
(cd "$out" && sha256sum app.tar.xz.* run.sh join.sh torch_gpt2.py curve.json >parts.sha256)
du -b "$out"/app.tar.xz.* | awk '{ n++; sum += $1 } END { printf "%d parts, %.0f MB\n", n, sum / 1e6 }'
