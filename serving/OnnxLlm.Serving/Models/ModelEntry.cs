using OnnxLlm.Serving.Metrics;

namespace OnnxLlm.Serving.Models;

/// <summary>A name under which a model is served, now this one and later perhaps a newer. Its counters go on across models.</summary>
internal sealed class ModelEntry(ModelSource source)
{
    private LoadedModel? _current;

    public string Id => source.Id;

    public ModelSource Source => source;

    public ServingMetrics Metrics { get; } = new();

    /// <summary>What answers now; null while nothing is loaded.</summary>
    public LoadedModel? Current => Volatile.Read(ref _current);

    /// <summary>A model is on its way.</summary>
    public bool IsLoading { get; set; }

    /// <summary>Why the last attempt to load failed; empty if it did not.</summary>
    public string Reason { get; set; } = "";

    /// <summary>The stamp of what is loaded.</summary>
    public string Stamp { get; set; } = "";

    public bool IsCalled(string name) => name == Id || Current?.Description.Aliases.Contains(name) == true;

    /// <summary>The right to use what is loaded now; null where nothing is.</summary>
    public ModelLease? Enter()
    {
        while (Current is { } model)
            if (model.TryEnter()) return new ModelLease(model);
        return null;
    }

    /// <summary>Requests from now on get <paramref name="model"/>; those that run keep the one they have.</summary>
    public void Replace(LoadedModel? model) => Interlocked.Exchange(ref _current, model)?.Leave();
}
