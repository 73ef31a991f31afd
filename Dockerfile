# syntax=docker/dockerfile:1
# The inference server. CPU by default:   docker build -t onnxllm .
# For an NVIDIA GPU:                      docker build -t onnxllm:cuda --build-arg ACCELERATOR=cuda .     and then   docker run --gpus all …
# Run:                                    docker run --rm -p 8080:8080 -v "$PWD/models/quickstart-int8:/model:ro" onnxllm
ARG ACCELERATOR=cpu

FROM ubuntu:26.04 AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends dotnet-sdk-10.0 nodejs npm ca-certificates \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ARG ACCELERATOR
# For CUDA the provider and the core that knows it come through npm as well.
RUN .ci/publish-server /app -p:Accelerator=${ACCELERATOR}

FROM ubuntu:26.04 AS runtime-cpu

FROM nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04 AS runtime-cuda

FROM runtime-${ACCELERATOR} AS final
RUN apt-get update \
 && apt-get install -y --no-install-recommends curl libstdc++6 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home onnxllm
COPY --from=build /app /app
USER 10001
WORKDIR /app
ARG ACCELERATOR
# The device that the server takes where --device is not given.
ENV DOTNET_EnableDiagnostics=0 ONNXLLM_DEVICE=${ACCELERATOR}
EXPOSE 8080
VOLUME /model
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["curl", "-fsS", "http://127.0.0.1:8080/health/ready"]
ENTRYPOINT ["/app/OnnxLlm.Serving"]
CMD ["--model", "/model", "--urls", "http://0.0.0.0:8080"]
