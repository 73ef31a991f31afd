# syntax=docker/dockerfile:1
# The inference server and the training runner, for the CPU or an NVIDIA GPU:
#   docker build -t onnxllm .                                         docker build -t onnxllm-training --target runner .
#   docker build -t onnxllm:cuda --build-arg ACCELERATOR=cuda .       docker build -t onnxllm-training:cuda --target runner --build-arg ACCELERATOR=cuda .
# Run:
#   docker run --rm -p 8080:8080 -v "$PWD/models/quickstart-int8:/model:ro" onnxllm
#   docker run --rm -v "$PWD:/work" -w /work --user "$(id -u)" onnxllm-training train training/configs/quickstart.json
# With a GPU, both take --gpus all.
ARG ACCELERATOR=cpu

FROM ubuntu:26.04 AS source
RUN apt-get update \
 && apt-get install -y --no-install-recommends dotnet-sdk-10.0 nodejs npm ca-certificates \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .

# For CUDA the provider and the core that knows it come through npm as well.
FROM source AS build-server
ARG ACCELERATOR
RUN .ci/publish server /app -p:Accelerator=${ACCELERATOR}

FROM source AS build-runner
ARG ACCELERATOR
RUN .ci/publish runner /app -p:Accelerator=${ACCELERATOR}

FROM ubuntu:26.04 AS runtime-cpu

# CUDA 13 and cuDNN 9; the driver, 580 or later, is the host's.
FROM nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04 AS runtime-cuda

FROM runtime-${ACCELERATOR} AS runtime
RUN apt-get update \
 && apt-get install -y --no-install-recommends curl libstdc++6 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home onnxllm
ENV DOTNET_EnableDiagnostics=0 NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility CUDA_CACHE_PATH=/tmp
USER 10001
WORKDIR /app

FROM runtime AS runner
COPY --from=build-runner /app /app
ENTRYPOINT ["/app/OnnxLlm.Training"]
CMD ["--help"]

# The last stage is what is built where no target is named.
FROM runtime AS server
COPY --from=build-server /app /app
ARG ACCELERATOR
# The device that the server takes where --device is not given.
ENV ONNXLLM_DEVICE=${ACCELERATOR}
EXPOSE 8080
VOLUME /model
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["curl", "-fsS", "http://127.0.0.1:8080/health/ready"]
ENTRYPOINT ["/app/OnnxLlm.Serving"]
CMD ["--model", "/model", "--urls", "http://0.0.0.0:8080"]
