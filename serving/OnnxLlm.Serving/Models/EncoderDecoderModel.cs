using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Serving.Safety;

namespace OnnxLlm.Serving.Models;

/// <summary>A model that writes a text for another. Nothing is kept of its answers.</summary>
internal sealed class EncoderDecoderModel(ServedModel description, EncoderDecoderEngine engine, Guardrails guardrails, ServingMetrics metrics, TimeProvider time)
    : LoadedModel(description, guardrails, metrics)
{
    private readonly EngineProbe _probe = new(engine.Health, engine.Submit, time);

    public EncoderDecoderEngine Engine => engine;

    public override EngineHealth Health => engine.Health;

    public override int Running => engine.Running;

    public override int Waiting => engine.Waiting;

    public override Task<bool> IsReadyAsync(CancellationToken cancellation = default) => _probe.IsReadyAsync(cancellation);

    public override Task ForgetAsync(CancellationToken cancellation) => Task.CompletedTask;

    protected override void End() => engine.Dispose();
}
