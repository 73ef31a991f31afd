using System.Threading.Channels;
using OnnxLlm.Runtime;
using OnnxLlm.Serving.Metrics;

namespace OnnxLlm.Serving.Engine;

/// <summary>
/// The loop of an encoder-decoder, on a thread of its own that alone touches the session: what waits is read together, as much as there is room for, and then every answer that is
/// under way gets its next token. It owns the session. Sequences come in by a channel, a request's all at once; what becomes of them goes out by their own.
/// </summary>
internal sealed class EncoderDecoderEngine : IDisposable
{
    /// <summary>Tokens read together, padding included, at most; one text is read however long it is.</summary>
    private const int TokensTogether = 4096;

    private readonly EncoderDecoderSession _session;
    private readonly EngineSettings _settings;
    private readonly EngineObserver _observer;
    private readonly Delivery _delivery;
    private readonly Sampler _sampler;
    private readonly ILogger _logger;
    private readonly Channel<IReadOnlyList<Sequence>> _requests;
    private readonly Queue<Sequence> _waiting = new();
    private readonly List<Sequence> _rows = [];
    private readonly Thread _thread;
    private readonly int _slots, _vocabulary;
    private int _queued;
    private int _running;
    private bool _stopping;

    /// <param name="slots">Answers that are written together, at most.</param>
    public EncoderDecoderEngine(EncoderDecoderSession session, int slots, EngineSettings settings, ServingMetrics metrics, TimeProvider time, ILogger logger)
    {
        (_session, _slots, _settings, _logger, _vocabulary) = (session, slots, settings, logger, Math.Min(settings.Vocabulary, session.VocabularySize));
        (_observer, _delivery, _sampler) = (new EngineObserver(metrics, time), new Delivery(time, settings.DeliveryPace), new Sampler(_vocabulary));
        _requests = Channel.CreateUnbounded<IReadOnlyList<Sequence>>(new UnboundedChannelOptions { SingleReader = true });
        Health = new EngineHealth(time);
        _thread = new Thread(Loop) { IsBackground = true, Name = "encoder-decoder" };
        _thread.Start();
    }

    public EngineHealth Health { get; }

    /// <summary>Answers that are being written.</summary>
    public int Running => Volatile.Read(ref _running);

    /// <summary>Texts that wait.</summary>
    public int Waiting => Volatile.Read(ref _queued);

    /// <summary>Queues all sequences of a request, or none.</summary>
    public Admission Submit(IReadOnlyList<Sequence> sequences)
    {
        if (Health.IsDead) return Admission.EngineDead;
        if (Interlocked.Add(ref _queued, sequences.Count) > _settings.QueueLimit)
        {
            Interlocked.Add(ref _queued, -sequences.Count);
            return Admission.QueueFull;
        }

        foreach (var sequence in sequences)
        {
            _observer.Arrived(sequence);
            sequence.Origin = ExecutionContext.Capture();
        }

        return _requests.Writer.TryWrite(sequences) ? Admission.Accepted : Admission.EngineDead;
    }

    /// <summary>Abandons what runs and waits for the loop to end.</summary>
    public void Dispose()
    {
        Volatile.Write(ref _stopping, true);
        _requests.Writer.TryComplete();
        _thread.Join();
        _session.Dispose();
    }

    private void Loop()
    {
        while (Receive()) Step();
        Close();
        _delivery.Stop();
    }

    /// <summary>Takes in what has arrived; without work it waits. False when the engine is to end.</summary>
    private bool Receive()
    {
        if (_rows.Count == 0 && _waiting.Count == 0)
        {
            _delivery.Flush();
            Health.Beat(idle: true);
            _requests.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult();
        }

        Health.Beat(idle: false);
        TakeIn();
        return !Volatile.Read(ref _stopping) && !Health.IsDead;
    }

    private void TakeIn()
    {
        while (_requests.Reader.TryRead(out var sequences))
            foreach (var sequence in sequences) _waiting.Enqueue(sequence);
    }

    private void Step()
    {
        try
        {
            LeaveOut();
            Read();
            if (_rows.Count > 0) Write();
        }
        catch (Exception fault)
        {
            Fail(fault);
        }

        Volatile.Write(ref _running, _rows.Count);
    }

    /// <summary>Answers whose requests are gone, or want no more of them.</summary>
    private void LeaveOut()
    {
        for (var row = _rows.Count - 1; row >= 0; row--)
        {
            if (!_rows[row].Cancelled.IsCancellationRequested) continue;
            _observer.Left(_rows[row]);
            Remove(row);
        }
    }

    /// <summary>The longest waiting, as many as there is room for; those whose requests are gone are left out.</summary>
    private void Read()
    {
        var (first, longest) = (_rows.Count, 0);
        while (_rows.Count < _slots && _waiting.TryPeek(out var next))
        {
            var length = Math.Max(longest, next.Prompt.Length);
            if (longest > 0 && (_rows.Count - first + 1) * length > TokensTogether) break;
            _waiting.Dequeue();
            Interlocked.Decrement(ref _queued);
            if (next.Cancelled.IsCancellationRequested) continue;
            _rows.Add(next);
            longest = length;
        }

        if (_rows.Count == first) return;
        Volatile.Write(ref _running, _rows.Count);
        var sequences = _rows[first..];
        _observer.Encoding(sequences);
        _session.Add([.. sequences.Select(sequence => sequence.Prompt)]);
    }

    private void Write()
    {
        _observer.Decoding(_rows.Count);
        var scores = _session.Step([.. _rows.Select(sequence => sequence.Generated > 0 ? sequence.LastToken : _session.StartToken)]);
        for (var row = 0; row < _rows.Count; row++) Choose(scores.Slice(row * _session.VocabularySize, _vocabulary), _rows[row]);
        Judge();
        for (var row = _rows.Count - 1; row >= 0; row--)
            if (_rows[row].IsOver) End(row);
        _delivery.FlushIfDue();
    }

    /// <summary>Scores that nothing can be chosen from end their own sequence only.</summary>
    private void Choose(ReadOnlySpan<float> scores, Sequence sequence)
    {
        try
        {
            var token = _sampler.Choose(scores, sequence);
            sequence.Append(token);
            if (sequence.IsEnd(token)) return;
            _observer.Generated(sequence);
            _delivery.Add(sequence, new GeneratedToken(token, null));
        }
        catch (ServingException fault)
        {
            _logger.Note(sequence, fault, "A sequence failed.");
            sequence.Fail(fault);
        }
    }

    /// <summary>The model works, unless what it said was no answer: to the engine's own question, or to somebody else's, after which it has to be asked.</summary>
    private void Judge()
    {
        if (_rows.Find(sequence => sequence is { IsProbe: true, IsOver: true }) is { } probe) Health.Asked(probe.Fault);
        else if (_rows.Exists(sequence => sequence.Fault is not null)) Health.Doubted();
        else Health.Passed();
    }

    private void End(int row)
    {
        var sequence = _rows[row];
        Remove(row);
        Volatile.Write(ref _running, _rows.Count);
        _observer.Finished(sequence);
        _delivery.End(sequence, sequence.Finish is { } reason ? new SequenceFinished(sequence.Choice, reason) : new SequenceFailed(sequence.Choice, sequence.Fault!));
    }

    /// <summary>As in the session, the last row takes its place.</summary>
    private void Remove(int row)
    {
        _session.Remove(row);
        _rows[row] = _rows[^1];
        _rows.RemoveAt(_rows.Count - 1);
    }

    /// <summary>What the session holds is unknown after a fault, so everyone in it gets the error.</summary>
    private void Fail(Exception fault)
    {
        Health.Faulted(fault);
        _observer.Faulted();
        _logger.LogError(fault, "A step of the engine failed.");
        foreach (var sequence in _rows) _logger.Note(sequence, null, $"A step of the engine failed with this request in it: {fault.Message}");
        Drop(_rows, fault);
        _rows.Clear();
        _session.Clear();
    }

    private void Close()
    {
        _requests.Writer.TryComplete();
        TakeIn();
        Drop([.. _rows, .. _waiting], new ServingException(Health.IsDead ? "The engine has failed and takes no more work." : "The server is stopping."));
        Volatile.Write(ref _running, 0);
        Volatile.Write(ref _queued, 0);
    }

    private void Drop(IReadOnlyList<Sequence> sequences, Exception fault)
    {
        foreach (var sequence in sequences) _delivery.End(sequence, new SequenceFailed(sequence.Choice, fault));
    }
}
