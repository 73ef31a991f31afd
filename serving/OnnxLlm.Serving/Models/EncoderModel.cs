using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Serving.Safety;

namespace OnnxLlm.Serving.Models;

/// <summary>A model that finds hidden tokens. Nothing is kept of its answers.</summary>
internal sealed class EncoderModel(ServedModel description, EncoderEngine engine, Guardrails guardrails, ServingMetrics metrics) : LoadedModel(description, guardrails, metrics)
{
    public EncoderEngine Engine => engine;

    public override string Kind => "an encoder";

    public override string Purpose => "finds hidden tokens, at /v1/fill-mask";

    public override EngineHealth Health => engine.Health;

    public override int Running => engine.Running;

    public override int Waiting => engine.Waiting;

    public override Task<bool> IsReadyAsync(CancellationToken cancellation = default) => engine.IsReadyAsync(cancellation);

    public override Task ForgetAsync(CancellationToken cancellation) => Task.CompletedTask;

    protected override void End() => engine.Dispose();
}
