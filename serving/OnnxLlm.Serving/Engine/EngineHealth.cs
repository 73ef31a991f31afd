namespace OnnxLlm.Serving.Engine;

/// <summary>
/// What the engine's loop last lived through, readable from any thread. The loop writes it; health checks read it.
/// A fault makes the engine unhealthy until a forward pass succeeds; several in a row make it dead for good.
/// </summary>
internal sealed class EngineHealth(TimeProvider time)
{
    private const int FaultsUntilDead = 3;
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(30);

    private long _beat = time.GetTimestamp();
    private long _lastPass = time.GetTimestamp();
    private int _faults;
    private bool _idle;
    private bool _hasPassed;
    private bool _isDoubtful;
    private Exception? _lastFault;

    public Exception? LastFault => Volatile.Read(ref _lastFault);

    /// <summary>The last forward pass succeeded.</summary>
    public bool IsHealthy => Volatile.Read(ref _hasPassed) && Volatile.Read(ref _faults) == 0;

    /// <summary>Too many faults in a row: no more work is taken.</summary>
    public bool IsDead => Volatile.Read(ref _faults) >= FaultsUntilDead;

    /// <summary>The loop waits for work or has begun a step lately.</summary>
    public bool IsAlive => !IsDead && (Volatile.Read(ref _idle) || IsFresh(ref _beat));

    /// <summary>A forward pass, good or bad, ended lately, so its outcome still counts.</summary>
    public bool IsKnown => Volatile.Read(ref _hasPassed) && !Volatile.Read(ref _isDoubtful) && IsFresh(ref _lastPass);

    public void Beat(bool idle)
    {
        Volatile.Write(ref _beat, time.GetTimestamp());
        Volatile.Write(ref _idle, idle);
    }

    public void Passed()
    {
        Volatile.Write(ref _faults, 0);
        Known();
    }

    /// <summary>A pass did not fail, but an answer did. It may have been that answer's own fault: the engine's question to the model has to tell.</summary>
    public void Doubted() => Volatile.Write(ref _isDoubtful, true);

    /// <summary>That question was answered, or was not.</summary>
    public void Asked(Exception? fault)
    {
        Volatile.Write(ref _isDoubtful, false);
        if (fault is null) Passed();
        else Faulted(fault);
    }

    public void Faulted(Exception fault)
    {
        Volatile.Write(ref _lastFault, fault);
        Volatile.Write(ref _faults, _faults + 1);
        Known();
    }

    private void Known()
    {
        Volatile.Write(ref _lastPass, time.GetTimestamp());
        Volatile.Write(ref _hasPassed, true);
    }

    private bool IsFresh(ref long stamp) => time.GetElapsedTime(Volatile.Read(ref stamp)) < Fresh;
}
