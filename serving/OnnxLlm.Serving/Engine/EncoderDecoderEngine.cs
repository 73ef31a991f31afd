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
    private readonly EngineObserver _observer;
    private readonly Delivery _delivery;
    private readonly Sampler _sampler;
    private readonly ILogger _logger;
    private readonly WaitingRoom<Sequence> _waiting;
    private readonly List<Sequence> _rows = [];
    private readonly Thread _thread;
    private readonly int _slots, _vocabulary;
    private int _running;
    private bool _stopping;

    /// <param name="slots">Answers that are written together, at most.</param>
    public EncoderDecoderEngine(EncoderDecoderSession session, int slots, EngineSettings settings, ServingMetrics metrics, TimeProvider time, ILogger logger)
    {
        (_session, _slots, _logger, _vocabulary) = (session, slots, logger, Math.Min(settings.Vocabulary, session.VocabularySize));
        (_observer, _delivery, _sampler) = (new EngineObserver(metrics, time), new Delivery(time, settings.DeliveryPace), new Sampler(_vocabulary));
        _waiting = new(settings.QueueLimit);
        Health = new EngineHealth(time);
        _thread = new Thread(Loop) { IsBackground = true, Name = "encoder-decoder" };
        _thread.Start();
    }

    public EngineHealth Health { get; }

    /// <summary>Answers that are being written.</summary>
    public int Running => Volatile.Read(ref _running);

    /// <summary>Texts that wait.</summary>
    public int Waiting => _waiting.Count;

    /// <summary>Queues all sequences of a request, or none.</summary>
    public Admission Submit(IReadOnlyList<Sequence> sequences) => Health.IsDead ? Admission.EngineDead : _waiting.Enter(sequences, sequence =>
    {
        _observer.Arrived(sequence);
        sequence.Origin = ExecutionContext.Capture();
    });

    /// <summary>Abandons what runs and waits for the loop to end.</summary>
    public void Dispose()
    {
        Volatile.Write(ref _stopping, true);
        _waiting.Close();
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
        if (_rows.Count == 0 && _waiting.IsEmpty)
        {
            _delivery.Flush();
            Health.Beat(idle: true);
            _waiting.WaitForArrivals();
        }

        Health.Beat(idle: false);
        _waiting.TakeIn();
        return !Volatile.Read(ref _stopping) && !Health.IsDead;
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

    /// <summary>As many of those that wait as there is room for.</summary>
    private void Read()
    {
        var sequences = _waiting.Take(_slots - _rows.Count, TokensTogether, sequence => sequence.Prompt.Length, sequence => sequence.Cancelled.IsCancellationRequested);
        if (sequences.Count == 0) return;
        _rows.AddRange(sequences);
        Volatile.Write(ref _running, _rows.Count);
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
        Drop([.. _rows, .. _waiting.Empty()], new ServingException(Health.IsDead ? "The engine has failed and takes no more work." : "The server is stopping."));
        Volatile.Write(ref _running, 0);
    }

    private void Drop(IReadOnlyList<Sequence> sequences, Exception fault)
    {
        foreach (var sequence in sequences) _delivery.End(sequence, new SequenceFailed(sequence.Choice, fault));
    }
}
