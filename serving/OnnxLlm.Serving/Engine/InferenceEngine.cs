using System.Threading.Channels;
using OnnxLlm.Serving.Engine.Constraints;
using OnnxLlm.Serving.Metrics;

namespace OnnxLlm.Serving.Engine;

/// <summary>
/// The loop: plan, run, commit, on a thread of its own that alone touches scheduler, runner and sequences.
/// It owns the runner and the order of things. Requests come in by a bounded channel; tokens leave by the channel of their request.
/// It knows nothing of text, HTTP or stop strings.
/// </summary>
internal sealed class InferenceEngine : IDisposable
{
    private readonly IModelRunner _runner;
    private readonly EngineSettings _settings;
    private readonly EngineObserver _observer;
    private readonly Delivery _delivery;
    private readonly StepRunner _steps;
    private readonly ILogger _logger;
    private readonly Scheduler _scheduler;
    private readonly PrefixCache _prefixes;
    private readonly LatencyGovernor _governor;
    private readonly TimeProvider _time;
    private readonly Channel<Sequence> _requests;
    private readonly Thread _thread;
    private int _queued;
    private int _running;
    private long _held;
    private bool _forgets;
    private bool _stopping;

    public InferenceEngine(IModelRunner runner, EngineSettings settings, ServingMetrics metrics, TimeProvider time, ILogger logger)
    {
        (_runner, _settings, _time, _logger) = (runner, settings, time, logger);
        _observer = new EngineObserver(metrics, time);
        _delivery = new Delivery(time, settings.DeliveryPace);
        _prefixes = new PrefixCache(settings.PrefixCacheBytes, runner.BytesOf, settings.ShortestPrefix);
        _scheduler = new Scheduler(runner.Slots, settings.PrefillChunk, _prefixes) { Speculation = runner.GivesAll ? settings.Speculation : 0, ScoresChunks = runner.GivesAll };
        _governor = new LatencyGovernor(runner.Slots, settings.PrefillChunk, settings.LatencyTarget.TotalSeconds, runner.ReadsWhileDecoding);
        _steps = new StepRunner(runner, Math.Min(settings.Vocabulary, runner.VocabularySize), _delivery, _observer, logger);
        _requests = Channel.CreateBounded<Sequence>(new BoundedChannelOptions(settings.QueueLimit) { SingleReader = true });
        Health = new EngineHealth(time);
        _thread = new Thread(Loop) { IsBackground = true, Name = "inference" };
        _thread.Start();
    }

    public EngineHealth Health { get; }

    public int Slots => _runner.Slots;

    /// <summary>Elements of a hidden state.</summary>
    public int Width => _runner.Width;

    /// <summary>Scores of a row, those of the padding included.</summary>
    public int ModelVocabulary => _runner.VocabularySize;

    /// <summary>The model gives hidden states and the scores of all tokens.</summary>
    public bool GivesAll => _runner.GivesAll;

    /// <summary>Sequences that may be decoded together at present.</summary>
    public int BatchCap => _governor.Cap;

    /// <summary>Bytes of keys and values kept beside the slots: of sequences that have ended, and of interrupted ones.</summary>
    public long PrefixCacheBytes => _prefixes.Bytes;

    /// <summary>Sequences that hold a slot.</summary>
    public int Running => Volatile.Read(ref _running);

    /// <summary>Part of the memory for keys and values of running sequences that holds some.</summary>
    public double CacheUsage => (double)Volatile.Read(ref _held) / ((long)_runner.Slots * _runner.MaxLength);

    /// <summary>Sequences that wait for one.</summary>
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
            if (!_requests.Writer.TryWrite(sequence)) return Admission.EngineDead;
        }

        return Admission.Accepted;
    }

    /// <summary>Before the next step nothing is kept any more of sequences that have ended.</summary>
    public void ForgetPrefixes() => Volatile.Write(ref _forgets, true);

    /// <summary>Abandons what runs and waits for the loop to end.</summary>
    public void Dispose()
    {
        Volatile.Write(ref _stopping, true);
        _requests.Writer.TryComplete();
        _thread.Join();
        _runner.Dispose();
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
        if (!_scheduler.HasWork) WaitForRequest();
        Health.Beat(idle: false);
        while (_requests.Reader.TryRead(out var sequence)) _scheduler.Enqueue(sequence);
        if (Interlocked.Exchange(ref _forgets, false)) _scheduler.ForgetPrefixes();
        return !Volatile.Read(ref _stopping) && !Health.IsDead;
    }

    private void WaitForRequest()
    {
        Health.Beat(idle: true);
        _requests.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult();
    }

    private void Step()
    {
        var plan = Plan();
        if (plan.IsEmpty || plan.Prefill is not null) _delivery.Flush();
        if (plan.IsEmpty) return;
        try
        {
            var begin = _time.GetTimestamp();
            var samples = _steps.Run(plan);
            if (plan.Draft.Length == 0) _governor.Observe(plan.Decode.Count, plan.Prefill?.Length ?? 0, _time.GetElapsedTime(begin).TotalSeconds);
            var ended = _scheduler.Commit(plan, samples);
            if (plan.Tokens > 0) Judge(ended);
            TellOccupancy();
            Publish(samples, ended);
        }
        catch (Exception fault)
        {
            Fail(plan, fault);
        }
    }

    private StepPlan Plan()
    {
        var waiting = _scheduler.Waiting;
        var preempted = _scheduler.Preemptions;
        (_scheduler.PrefillChunk, _scheduler.Limit) = (_governor.Chunk(_scheduler.Decoding, _scheduler.Reading, _scheduler.Behind), _governor.Cap);
        var plan = _scheduler.Plan();
        _observer.Preempted(_scheduler.Preemptions - preempted);
        Interlocked.Add(ref _queued, _scheduler.Waiting - waiting);
        TellOccupancy();
        _observer.Planned(plan);
        for (var i = 0; i < _scheduler.Gone.Count; i++) _observer.Left(_scheduler.Gone[i]);
        return plan;
    }

    /// <summary>The model works, unless what it said was no answer: to the engine's own question, or to somebody else's, after which it has to be asked.</summary>
    private void Judge(IReadOnlyList<Sequence> ended)
    {
        if (ended.FirstOrDefault(sequence => sequence.IsProbe) is { } probe) Health.Asked(probe.Fault);
        else if (ended.Any(sequence => sequence.Fault is not (null or ConstraintException))) Health.Doubted();      // a constraint is its client's fault
        else Health.Passed();
    }

    private void Publish(List<Sample> samples, IReadOnlyList<Sequence> ended)
    {
        foreach (var (sequence, token, score) in samples)
        {
            if (sequence.IsEnd(token)) continue;
            _observer.Generated(sequence);
            _delivery.Add(sequence, new GeneratedToken(token, score));
        }

        foreach (var sequence in ended)
        {
            _observer.Finished(sequence);
            _delivery.End(sequence, sequence.Finish is { } reason ? new SequenceFinished(sequence.Choice, reason) : new SequenceFailed(sequence.Choice, sequence.Fault!));
        }

        _delivery.FlushIfDue();
    }

    /// <summary>What the slots hold is unknown after a fault, so everyone in them gets the error.</summary>
    private void Fail(StepPlan plan, Exception fault)
    {
        Health.Faulted(fault);
        _observer.Faulted();
        _logger.LogError(fault, "A step of the engine failed.");
        var running = _scheduler.TakeRunning(plan);
        foreach (var sequence in running) _logger.Note(sequence, null, $"A step of the engine failed with this request in it: {fault.Message}");
        Drop(running, fault);
        TellOccupancy();
    }

    private void Close()
    {
        _requests.Writer.TryComplete();
        while (_requests.Reader.TryRead(out var sequence)) _scheduler.Enqueue(sequence);
        var fault = new ServingException(Health.IsDead ? "The engine has failed and takes no more work." : "The server is stopping.");
        Drop([.. _scheduler.TakeRunning(), .. _scheduler.TakeWaiting()], fault);
        TellOccupancy();
        Volatile.Write(ref _queued, 0);
    }

    private void TellOccupancy()
    {
        Volatile.Write(ref _running, _scheduler.Running);
        Volatile.Write(ref _held, _scheduler.Held);
    }

    private void Drop(IReadOnlyList<Sequence> sequences, Exception fault)
    {
        foreach (var sequence in sequences) _delivery.End(sequence, new SequenceFailed(sequence.Choice, fault));
    }
}
