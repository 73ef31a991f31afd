namespace OnnxLlm.Serving.Api;

/// <summary>Counts the requests that are being answered, and closes the door when the server is to end.</summary>
internal sealed class Drain
{
    private readonly TaskCompletionSource _empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _active;
    private bool _draining;

    public bool IsDraining => Volatile.Read(ref _draining);

    /// <summary>Done when draining has begun and the last request has left.</summary>
    public Task Empty => _empty.Task;

    /// <summary>A place to leave by disposing it, or null when the door is closed.</summary>
    public IDisposable? TryEnter()
    {
        Interlocked.Increment(ref _active);
        if (!IsDraining) return new Place(this);
        Leave();
        return null;
    }

    public void Begin()
    {
        Volatile.Write(ref _draining, true);
        Interlocked.Increment(ref _active);
        Leave();
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _active) == 0 && IsDraining) _empty.TrySetResult();
    }

    private sealed class Place(Drain drain) : IDisposable
    {
        public void Dispose() => drain.Leave();
    }
}
