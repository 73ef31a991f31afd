namespace OnnxLlm.Runtime.Devices;

/// <summary>
/// Who may use a GPU while its stream records: only who records. Memory that another thread takes or gives back, or a wait of its, would break the recording
/// off, and what it launches would become part of it. Nobody enters twice.
/// </summary>
internal sealed class CudaGate
{
    private readonly object _sync = new();
    private int _together, _waiting;
    private bool _alone;

    /// <summary>With others, but not while one records or waits for that. Allocates no managed memory.</summary>
    public Hold Together()
    {
        lock (_sync)
        {
            while (_alone || _waiting > 0) Monitor.Wait(_sync);
            _together++;
        }
        return new(this, alone: false);
    }

    /// <summary>Waits until nobody uses the device; a model that is being loaded does so for as long as that takes.</summary>
    public Hold Alone()
    {
        lock (_sync)
        {
            _waiting++;
            while (_alone || _together > 0) Monitor.Wait(_sync);
            _waiting--;
            _alone = true;
        }
        return new(this, alone: true);
    }

    private void Leave(bool alone)
    {
        lock (_sync)
        {
            if (alone) _alone = false;
            else _together--;
            Monitor.PulseAll(_sync);
        }
    }

    /// <summary>Ends when it is disposed; the default holds nothing.</summary>
    internal readonly ref struct Hold(CudaGate? gate, bool alone)
    {
        public void Dispose() => gate?.Leave(alone);
    }
}
