using OnnxLlm.Runtime;
using OnnxLlm.Serving.Caching;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Serving.Safety;

namespace OnnxLlm.Serving.Models;

/// <summary>
/// A model that answers: its description, its engine, its caches. It ends when nobody uses it any more: the registry counts as one user until another
/// has taken its place, each request as one while it is answered.
/// </summary>
internal sealed class LoadedModel(ServedModel description, InferenceEngine engine, ResponseCache cache, Guardrails guardrails, ServingMetrics metrics, TimeProvider time)
{
    private int _users = 1;

    public ServedModel Description => description;

    public InferenceEngine Engine => engine;

    public ResponseCache Cache => cache;

    public Guardrails Guardrails => guardrails;

    public ServingMetrics Metrics => metrics;

    public EngineProbe Probe { get; } = new(engine, time);

    /// <summary>The engine does it in its next step, and is asked for one, so that the memory is free when this is done.</summary>
    public Task ForgetPrefixesAsync(CancellationToken cancellation)
    {
        engine.ForgetPrefixes();
        return Probe.AskAsync(cancellation);
    }

    /// <summary>False if it has ended.</summary>
    public bool TryEnter()
    {
        for (var users = Volatile.Read(ref _users); users > 0;)
        {
            var seen = Interlocked.CompareExchange(ref _users, users + 1, users);
            if (seen == users) return true;
            users = seen;
        }

        return false;
    }

    /// <summary>The last to leave ends it.</summary>
    public void Leave()
    {
        if (Interlocked.Decrement(ref _users) > 0) return;
        engine.Dispose();
        cache.Dispose();
        description.Constraints.Dispose();
        description.Prompts?.Dispose();
        NativeHeap.ReturnFreed();
    }
}

/// <summary>The right to use a model; it stays loaded until this is disposed.</summary>
internal sealed class ModelLease(LoadedModel model) : IDisposable
{
    private LoadedModel? _model = model;

    public LoadedModel Model => _model ?? throw new ServingException("The model has been given back.");

    public ServedModel Description => Model.Description;

    public void Dispose() => Interlocked.Exchange(ref _model, null)?.Leave();
}
