#!/usr/bin/env bash
# Packs the programs, .NET, and the CUDA provider for machines without network: parts of at most 55 MB, join.sh, run.sh.   pack.sh FOLDER
# XZ_OPT chooses the compression, for example XZ_OPT="-9 -T0".
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:?usage: pack.sh FOLDER}
mkdir -p "$out" && out=$(realpath "$out")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"
for project in tools/OnnxLlm.Tools training/OnnxLlm.Training serving/OnnxLlm.Serving tests/OnnxLlm.GpuCheck; do
  dotnet publish "$project" -c Release -r linux-x64 --self-contained -p:Accelerator=cuda -p:DebugType=none --artifacts-path "$work/artifacts" -o "$work/app" >"$work/log" || { tail -20 "$work/log"; exit 1; }
done
for file in libonnxruntime.so libonnxruntime_providers_shared.so libonnxruntime_providers_cuda.so OnnxLlm.Tools OnnxLlm.Training OnnxLlm.Serving OnnxLlm.GpuCheck; do
  [ -f "$work/app/$file" ] || { echo "the published folder lacks $file" >&2; exit 1; }
done
rm -f "$out"/app.tar.xz.*
tar -C "$work" --owner=0 --group=0 -cf - app | XZ_OPT=${XZ_OPT:--6 -T0} xz | split -b 55000000 -d -a 3 - "$out/app.tar.xz."
(cd "$out" && sha256sum app.tar.xz.* >parts.sha256)
cp tests/gpu/run.sh tests/gpu/join.sh tests/gpu/torch_gpt2.py tests/gpu/curve.json "$out/"
du -b "$out"/app.tar.xz.* | awk '{ n++; sum += $1 } END { printf "%d parts, %.0f MB\n", n, sum / 1e6 }'
