using OnnxLlm.Serving.Caching;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Serving.Safety;

namespace OnnxLlm.Serving.Models;

/// <summary>A model that continues texts, and the answers that are kept of it.</summary>
internal sealed class DecoderModel(ServedModel description, InferenceEngine engine, ResponseCache cache, Guardrails guardrails, ServingMetrics metrics, TimeProvider time)
    : LoadedModel(description, guardrails, metrics)
{
    private readonly EngineProbe _probe = new(engine.Health, engine.Submit, time);

    public InferenceEngine Engine => engine;

    public ResponseCache Cache => cache;

    public override EngineHealth Health => engine.Health;

    public override int Running => engine.Running;

    public override int Waiting => engine.Waiting;

    public override Task<bool> IsReadyAsync(CancellationToken cancellation = default) => _probe.IsReadyAsync(cancellation);

    /// <summary>The engine forgets beginnings of prompts in its next step, and is asked for one, so that the memory is free when this is done.</summary>
    public override Task ForgetAsync(CancellationToken cancellation)
    {
        cache.Clear();
        engine.ForgetPrefixes();
        return _probe.AskAsync(cancellation);
    }

    protected override void End()
    {
        engine.Dispose();
        cache.Dispose();
    }
}
