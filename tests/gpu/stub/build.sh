#!/bin/sh
# Builds the stub libraries into a folder, under the names and symbol versions that the CUDA provider asks for.   build.sh FOLDER
set -eu
source=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1"
library() {
  echo "$(echo "$1" | tr - _) { global: *; };" > "$1.map"
  ${CC:-gcc} -shared -fPIC -O1 -std=gnu17 -Wall -Wextra -Werror -Wl,-soname,"$1" -Wl,--version-script="$1.map" -o "$1" "$source/$2" ${3:-}
}
library libcudart.so.13 cudart.c -lpthread
library libcublas.so.13 cublas.c ./libcudart.so.13
library libcublasLt.so.13 cublaslt.c ./libcudart.so.13
library libcurand.so.10 curand.c
library libcuda.so.1 driver.c
library libnvidia-ml.so.1 nvml.c
