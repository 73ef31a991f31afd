namespace OnnxLlm.Training.Data;

/// <summary>Reads the next step's batch on another thread while the current step runs.</summary>
internal sealed class BatchPrefetcher(TokenDataset dataset, long end)
{
    private Task<GlobalBatch>? _next;

    /// <summary>The batch at <paramref name="position"/>; starts on the one that follows it, <paramref name="stride"/> sequences on.</summary>
    public GlobalBatch Take(long position, int stride)
    {
        var batch = _next?.GetAwaiter().GetResult() is { } ready && ready.Position == position ? ready : dataset.Batch(position, end);
        _next = Task.Run(() => dataset.Batch(position + stride, end));
        return batch;
    }
}
