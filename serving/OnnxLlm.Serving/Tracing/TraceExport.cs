using OnnxLlm.Serving.Api;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace OnnxLlm.Serving.Tracing;

/// <summary>Sends spans to a collector, by OTLP over HTTP, in batches; what is left leaves when this is disposed. The sampler is chosen by OpenTelemetry's own environment variables.</summary>
internal sealed class TraceExport(ServerOptions options) : IHostedService, IDisposable
{
    private TracerProvider? _provider;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.TraceCollector is { } collector) _provider = Create(new Uri(collector, "v1/traces"));
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _provider?.Dispose();

    private static TracerProvider Create(Uri endpoint) => Sdk.CreateTracerProviderBuilder()
        .AddSource(RequestTrace.SourceName)
        .ConfigureResource(resource => resource.AddService("onnxllm", serviceVersion: Routes.Version()))
        .AddOtlpExporter(exporter => (exporter.Endpoint, exporter.Protocol) = (endpoint, OtlpExportProtocol.HttpProtobuf))
        .Build();
}
