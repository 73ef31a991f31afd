using OnnxLlm.Runtime;
using OnnxLlm.Serving.Metrics;

namespace OnnxLlm.Serving.Engine;

/// <summary>
/// The loop of an encoder, on a thread of its own that alone touches the session: what waits when a run has ended is read together in the next, padded to the
/// longest. It owns the session. Texts come in by a channel, a request's all at once; each has its own answer.
/// </summary>
internal sealed class EncoderEngine : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly EncoderSession _session;
    private readonly EncoderSettings _settings;
    private readonly ServingMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly WaitingRoom<EncoderText> _waiting;
    private readonly Thread _thread;
    private int _running;
    private bool _stopping;

    public EncoderEngine(EncoderSession session, EncoderSettings settings, ServingMetrics metrics, TimeProvider time, ILogger logger)
    {
        (_session, _settings, _metrics, _time, _logger) = (session, settings, metrics, time, logger);
        _waiting = new(settings.QueueLimit);
        Health = new EngineHealth(time);
        _thread = new Thread(Loop) { IsBackground = true, Name = "encoder" };
        _thread.Start();
    }

    public EngineHealth Health { get; }

    /// <summary>Texts that are being read.</summary>
    public int Running => Volatile.Read(ref _running);

    /// <summary>Texts that wait.</summary>
    public int Waiting => _waiting.Count;

    /// <summary>Queues all texts of a request, or none.</summary>
    public Admission Submit(IReadOnlyList<EncoderText> texts) =>
        Health.IsDead ? Admission.EngineDead : _waiting.Enter(texts, text => text.Arrived = _time.GetTimestamp());

    /// <summary>True if the last run, perhaps made now, succeeded. A recent one, whoever asked for it, is answer enough.</summary>
    public async Task<bool> IsReadyAsync(CancellationToken cancellation)
    {
        if (!Health.IsKnown) await AskAsync(cancellation).ConfigureAwait(false);
        return Health.IsKnown && Health.IsHealthy;
    }

    /// <summary>Abandons what waits, and waits for the run to end.</summary>
    public void Dispose()
    {
        Volatile.Write(ref _stopping, true);
        _waiting.Close();
        _thread.Join();
        _session.Dispose();
    }

    private async Task AskAsync(CancellationToken cancellation)
    {
        var question = new EncoderText(new EncoderInput([0], [0]), 1, cancellation) { IsProbe = true };
        if (Submit([question]) != Admission.Accepted) return;
        try
        {
            await question.Found.WaitAsync(Patience, _time, cancellation).ConfigureAwait(false);
        }
        catch (Exception fault) when (fault is not OperationCanceledException)
        {
            // What it was is in the engine's health; where there was no answer in time, that stays unknown.
        }
    }

    private void Loop()
    {
        while (Receive()) Run(_waiting.Take(_settings.Rows, _settings.Tokens, text => text.Input.Tokens.Length, text => text.IsCancelled));
        Close();
    }

    /// <summary>Takes in what has arrived; without work it waits. False when the engine is to end.</summary>
    private bool Receive()
    {
        if (_waiting.IsEmpty)
        {
            Health.Beat(idle: true);
            _waiting.WaitForArrivals();
        }

        Health.Beat(idle: false);
        _waiting.TakeIn();
        return !Volatile.Read(ref _stopping) && !Health.IsDead;
    }

    private void Run(List<EncoderText> batch)
    {
        if (batch.Count == 0) return;
        Volatile.Write(ref _running, batch.Count);
        var begun = Begin(batch);
        try
        {
            var scores = _session.Score([.. batch.Select(text => text.Input)]);
            End(batch, begun);
            Answer(batch, scores);
        }
        catch (Exception fault)
        {
            Volatile.Write(ref _running, 0);
            Health.Faulted(fault);
            _metrics.EngineFaults.Add(1);
            _logger.LogError(fault, "A run of the encoder failed.");
            foreach (var text in batch) text.Fail(new ServingException("The engine failed while it read the text.", fault));
        }
    }

    /// <summary>A text without an answer may be that text's own fault: the engine's question to the model has to tell.</summary>
    private void Answer(List<EncoderText> batch, ReadOnlySpan<float> scores)
    {
        var (offset, good) = (0, true);
        Health.Passed();
        foreach (var text in batch)
        {
            var values = text.Input.Places.Length * _session.Scores;
            good &= text.Answer(scores.Slice(offset, values), _settings.Scores) || Asked(text);
            offset += values;
        }

        if (!good) Health.Doubted();
    }

    /// <summary>That question has no answer: false too, and the model is at fault.</summary>
    private bool Asked(EncoderText text)
    {
        if (text.IsProbe) Health.Faulted(text.Found.Exception!);
        return text.IsProbe;
    }

    private long Begin(List<EncoderText> batch)
    {
        var now = _time.GetTimestamp();
        _metrics.Executions.Add(1, "encode");
        _metrics.BatchSize.Observe(batch.Count);
        _metrics.IterationTokens.Observe(batch.Sum(text => text.Input.Tokens.Length));
        foreach (var text in batch.Where(text => !text.IsProbe))
        {
            _metrics.QueueTime.Observe(_time.GetElapsedTime(text.Arrived, now).TotalSeconds);
            _metrics.PromptTokens.Add(text.Input.Tokens.Length);
            _metrics.RequestPromptTokens.Observe(text.Input.Tokens.Length);
        }

        return now;
    }

    /// <summary>Before the answers leave, so that whoever has one finds it counted.</summary>
    private void End(List<EncoderText> batch, long begun)
    {
        Volatile.Write(ref _running, 0);
        foreach (var text in batch.Where(text => !text.IsProbe))
        {
            _metrics.InferenceTime.Observe(_time.GetElapsedTime(begun).TotalSeconds);
            _metrics.RequestLatency.Observe(_time.GetElapsedTime(text.Arrived).TotalSeconds);
        }
    }

    private void Close()
    {
        var fault = new ServingException(Health.IsDead ? "The engine has failed and takes no more work." : "The server is stopping.");
        foreach (var text in _waiting.Empty()) text.Fail(fault);
    }
}
