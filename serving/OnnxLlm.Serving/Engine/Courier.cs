using System.Threading.Channels;

namespace OnnxLlm.Serving.Engine;

/// <summary>
/// Hands events to the channels of their requests, on a thread of its own. What waits for tokens goes on right there, up to the packet that leaves: on few
/// processors one thread that is woken once for all streams takes less time from the model than a thread of the pool for each. Whoever waits must not block.
/// An end is left to the pool, because behind it lie the end of a request and the beginning of the next one; so does who ends an answer by its text.
/// </summary>
internal sealed class Courier
{
    private readonly object _gate = new();
    private List<(ChannelWriter<SequenceEvent> To, SequenceEvent Event)> _posted = [];
    private List<(ChannelWriter<SequenceEvent> To, SequenceEvent Event)> _taken = [];
    private bool _stopping;

    public Courier() => new Thread(Carry) { IsBackground = true, Name = "courier" }.Start();

    /// <summary>Leaves with the next <see cref="Go"/>.</summary>
    public void Post(ChannelWriter<SequenceEvent> to, SequenceEvent happened)
    {
        lock (_gate) _posted.Add((to, happened));
    }

    public void Go()
    {
        lock (_gate) Monitor.Pulse(_gate);
    }

    /// <summary>The thread ends once all that was posted is delivered. It may be the one that calls this.</summary>
    public void Stop()
    {
        lock (_gate)
        {
            _stopping = true;
            Monitor.Pulse(_gate);
        }
    }

    private void Carry()
    {
        while (Take())
        {
            foreach (var (to, happened) in _taken)
            {
                if (happened is TokensGenerated) to.TryWrite(happened);
                else ThreadPool.UnsafeQueueUserWorkItem(static end => end.To.TryWrite(end.Event), (To: to, Event: happened), preferLocal: false);
            }
            _taken.Clear();
        }
    }

    /// <summary>Waits for something to deliver; false when there will be nothing more.</summary>
    private bool Take()
    {
        lock (_gate)
        {
            while (_posted.Count == 0 && !_stopping) Monitor.Wait(_gate);
            (_posted, _taken) = (_taken, _posted);
            return _taken.Count > 0;
        }
    }
}
