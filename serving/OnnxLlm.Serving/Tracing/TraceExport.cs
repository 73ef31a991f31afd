using OnnxLlm.Serving.Api;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace OnnxLlm.Serving.Tracing;

/// <summary>
/// Sends spans and the histograms of generation to a collector, by OTLP over HTTP, in batches and every minute; what is left leaves when this is disposed. Sampler
/// and interval are chosen by OpenTelemetry's own environment variables.
/// </summary>
internal sealed class TraceExport(ServerOptions options) : IHostedService, IDisposable
{
    private TracerProvider? _spans;
    private MeterProvider? _histograms;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.TraceCollector is { } collector) (_spans, _histograms) = (Spans(new Uri(collector, "v1/traces")), Histograms(new Uri(collector, "v1/metrics")));
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose()
    {
        _spans?.Dispose();
        _histograms?.Dispose();
    }

    private static TracerProvider Spans(Uri endpoint) => Sdk.CreateTracerProviderBuilder()
        .AddSource(RequestTrace.SourceName)
        .ConfigureResource(Describe)
        .AddOtlpExporter(exporter => (exporter.Endpoint, exporter.Protocol) = (endpoint, OtlpExportProtocol.HttpProtobuf))
        .Build();

    private static MeterProvider Histograms(Uri endpoint) => Sdk.CreateMeterProviderBuilder()
        .AddMeter(GenerationMeter.Name)
        .ConfigureResource(Describe)
        .AddOtlpExporter(exporter => (exporter.Endpoint, exporter.Protocol) = (endpoint, OtlpExportProtocol.HttpProtobuf))
        .Build();

    private static void Describe(ResourceBuilder resource) => resource.AddService("onnxllm", serviceVersion: Routes.Version());
}
