using OnnxLlm.Runtime;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Serving.Safety;

namespace OnnxLlm.Serving.Models;

/// <summary>
/// A model that answers: its description, and an engine of its family. It ends when nobody uses it any more: the registry counts as one user until another
/// has taken its place, each request as one while it is answered.
/// </summary>
internal abstract class LoadedModel(ServedModel description, Guardrails guardrails, ServingMetrics metrics)
{
    private int _users = 1;

    public ServedModel Description => description;

    public Guardrails Guardrails => guardrails;

    public ServingMetrics Metrics => metrics;

    public abstract EngineHealth Health { get; }

    /// <summary>Sequences that are being worked on.</summary>
    public abstract int Running { get; }

    /// <summary>Sequences that wait.</summary>
    public abstract int Waiting { get; }

    /// <summary>True if the last forward pass, perhaps made now, succeeded.</summary>
    public abstract Task<bool> IsReadyAsync(CancellationToken cancellation = default);

    /// <summary>What is kept of earlier requests is gone when this is done.</summary>
    public abstract Task ForgetAsync(CancellationToken cancellation);

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
        End();
        description.Constraints.Dispose();
        description.Prompts?.Dispose();
        NativeHeap.ReturnFreed();
    }

    protected abstract void End();
}

/// <summary>The right to use a model; it stays loaded until this is disposed.</summary>
internal sealed class ModelLease(LoadedModel model) : IDisposable
{
    private LoadedModel? _model = model;

    public LoadedModel Model => _model ?? throw new ServingException("The model has been given back.");

    /// <summary>The model as one that continues texts.</summary>
    /// <exception cref="ServingException">It is of another family.</exception>
    public DecoderModel Decoder => Model as DecoderModel ?? throw new ServingException($"The model {Description.Id} is {ModelTask.Kind(Description.Task)}, which {ModelTask.Not(ModelTask.Generation)}.");

    public ServedModel Description => Model.Description;

    public void Dispose() => Interlocked.Exchange(ref _model, null)?.Leave();
}
