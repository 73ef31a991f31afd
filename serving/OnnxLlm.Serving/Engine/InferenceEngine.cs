using System.Threading.Channels;
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
    private readonly ILogger _logger;
    private readonly Scheduler _scheduler;
    private readonly PrefixCache _prefixes;
    private readonly LatencyGovernor _governor;
    private readonly TimeProvider _time;
    private readonly Sampler _sampler;
    private readonly Channel<Sequence> _requests;
    private readonly Thread _thread;
    private readonly int _vocabulary;
    private readonly int[] _tokens;
    private readonly int[] _pasts;
    private readonly List<Sample> _samples = [];
    private int _queued;
    private int _running;
    private bool _forgets;
    private bool _stopping;

    public InferenceEngine(IModelRunner runner, EngineSettings settings, ServingMetrics metrics, TimeProvider time, ILogger logger)
    {
        (_runner, _settings, _time, _logger) = (runner, settings, time, logger);
        _observer = new EngineObserver(metrics, time);
        _delivery = new Delivery(time, settings.DeliveryPace);
        _prefixes = new PrefixCache(settings.PrefixCacheBytes, runner.BytesOf, settings.ShortestPrefix);
        _scheduler = new Scheduler(runner.Slots, settings.PrefillChunk, _prefixes) { Speculation = runner.GivesAll ? settings.Speculation : 0, ScoresChunks = runner.GivesAll };
        _governor = new LatencyGovernor(runner.Slots, settings.PrefillChunk, settings.LatencyTarget.TotalSeconds);
        _vocabulary = Math.Min(settings.Vocabulary, runner.VocabularySize);
        _sampler = new Sampler(_vocabulary);
        _requests = Channel.CreateBounded<Sequence>(new BoundedChannelOptions(settings.QueueLimit) { SingleReader = true });
        (_tokens, _pasts) = (new int[runner.Slots], new int[runner.Slots]);
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

    /// <summary>Bytes of keys and values kept of sequences that have ended.</summary>
    public long PrefixCacheBytes => _prefixes.Bytes;

    /// <summary>Sequences that hold a slot.</summary>
    public int Running => Volatile.Read(ref _running);

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
            var samples = Run(plan);
            if (plan.Draft.Length == 0) _governor.Observe(plan.Decode.Count, plan.Prefill?.Length ?? 0, _time.GetElapsedTime(begin).TotalSeconds);
            var ended = _scheduler.Commit(plan, samples);
            Judge(ended);
            Volatile.Write(ref _running, _scheduler.Running);
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
        Volatile.Write(ref _running, _scheduler.Running);
        _observer.Planned(plan);
        for (var i = 0; i < _scheduler.Gone.Count; i++) _observer.Left(_scheduler.Gone[i]);
        return plan;
    }

    private List<Sample> Run(StepPlan plan)
    {
        var samples = _samples;
        samples.Clear();
        foreach (var transfer in plan.Transfers) transfer.Run(_runner);
        if (plan.Prefill is { } chunk) Prefill(chunk, samples);
        if (plan.Draft.Length > 0) Verify(plan.Decode[0], plan.Draft, samples);
        else if (plan.Decode.Count > 0) Decode(plan.Decode, samples);
        return samples;
    }

    private void Prefill(PrefillChunk chunk, List<Sample> samples)
    {
        if (chunk.Sequence.Reader is { } reader)
        {
            reader.Read(_runner, chunk);
            return;
        }

        var scoresAll = chunk.Sequence.ScoresPrompt && _runner.GivesAll;
        var logits = scoresAll ? _runner.Score(chunk.Slot, chunk.Tokens, chunk.Start) : _runner.Prefill(chunk.Slot, chunk.Tokens, chunk.Start);
        if (chunk.Sequence.ScoresPrompt) PublishPrompt(chunk, logits);
        if (chunk.IsLast && chunk.Sequence.MaxTokens > 0) Choose(logits[^_runner.VocabularySize..], chunk.Sequence, samples);
    }

    /// <summary>
    /// Chooses behind the last token and behind each guessed one, for as long as the guess is what is chosen. Every token is chosen from the scores that
    /// it would have been chosen from otherwise, by the same random number: guesses change when tokens come, not which.
    /// </summary>
    private void Verify(Sequence sequence, int[] draft, List<Sample> samples)
    {
        int[] tokens = [sequence.LastToken, .. draft];
        var logits = _runner.Score(0, tokens, sequence.Past);
        var right = 0;
        for (var row = 0; row < tokens.Length && sequence.Fault is null; row++)
        {
            Choose(Row(logits, row), sequence, samples, ahead: row);
            if (row == draft.Length || samples.Count == row || samples[row].Token != draft[row] || sequence.IsEnd(draft[row])) break;
            right++;
        }

        sequence.Draft!.Learn(draft.Length, right);
        _observer.Guessed(draft.Length, right);
    }

    private ReadOnlySpan<float> Row(ReadOnlySpan<float> logits, int row) => logits.Slice(row * _runner.VocabularySize, _runner.VocabularySize);

    private void Decode(IReadOnlyList<Sequence> sequences, List<Sample> samples)
    {
        for (var i = 0; i < sequences.Count; i++) (_tokens[i], _pasts[i]) = (sequences[i].LastToken, sequences[i].Past);
        var logits = _runner.Decode(_tokens.AsSpan(0, sequences.Count), _pasts.AsSpan(0, sequences.Count));
        for (var i = 0; i < sequences.Count; i++)
            Choose(Row(logits, i), sequences[i], samples);
    }

    /// <summary>A row that nothing can be chosen from ends its own sequence only: the others have slots of their own.</summary>
    private void Choose(ReadOnlySpan<float> row, Sequence sequence, List<Sample> samples, int ahead = 0)
    {
        var logits = row[.._vocabulary];
        try
        {
            var token = _sampler.Choose(logits, sequence, ahead);
            var score = sequence.Alternatives is { } count ? LogProbs.Score(logits, token, count) : null;
            samples.Add(new Sample(sequence, token, score));
        }
        catch (ServingException fault)
        {
            Note(sequence, fault, "A sequence failed.");
            sequence.Fail(fault);
        }
    }

    /// <summary>The model works, unless what it said was no answer: to the engine's own question, or to somebody else's, after which it has to be asked.</summary>
    private void Judge(IReadOnlyList<Sequence> ended)
    {
        if (ended.FirstOrDefault(sequence => sequence.IsProbe) is { } probe) Health.Asked(probe.Fault);
        else if (ended.Any(sequence => sequence.Fault is not null)) Health.Doubted();
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
            _delivery.End(sequence, sequence.Finish is { } reason ? new SequenceFinished(sequence.Choice, reason, sequence.Shared) : new SequenceFailed(sequence.Choice, sequence.Fault!));
        }

        _delivery.FlushIfDue();
    }

    /// <summary>The scores after each prompt token of the chunk are about the next one. The first has none.</summary>
    private void PublishPrompt(PrefillChunk chunk, ReadOnlySpan<float> logits)
    {
        var sequence = chunk.Sequence;
        if (chunk.Start == 0)
            _delivery.Add(sequence, new GeneratedToken(sequence.Prompt[0], null, IsPrompt: true));
        for (var next = chunk.Start + 1; next <= chunk.Start + chunk.Length && next < sequence.Prompt.Length; next++)
        {
            var score = LogProbs.Score(Row(logits, next - chunk.Start - 1)[.._vocabulary], sequence.Prompt[next], sequence.Alternatives ?? 0);
            _delivery.Add(sequence, new GeneratedToken(sequence.Prompt[next], score, IsPrompt: true));
        }
    }

    /// <summary>What the slots hold is unknown after a fault, so everyone in them gets the error.</summary>
    private void Fail(StepPlan plan, Exception fault)
    {
        Health.Faulted(fault);
        _observer.Faulted();
        _logger.LogError(fault, "A step of the engine failed.");
        var running = _scheduler.TakeRunning(plan);
        foreach (var sequence in running) Note(sequence, null, $"A step of the engine failed with this request in it: {fault.Message}");
        Drop(running, fault);
        Volatile.Write(ref _running, 0);
    }

    /// <summary>
    /// Writes to the log where the sequence comes from, so that the line is found by the request's id. It takes the message itself: a function in its place would be
    /// an object for every token of those who might call this.
    /// </summary>
    private void Note(Sequence sequence, Exception? fault, string message)
    {
        if (sequence.Origin is { } origin) ExecutionContext.Run(origin, _ => Write(), null);
        else Write();

        void Write() => _logger.LogError(fault, "{Message}", message);
    }

    private void Close()
    {
        _requests.Writer.TryComplete();
        while (_requests.Reader.TryRead(out var sequence)) _scheduler.Enqueue(sequence);
        var fault = new ServingException(Health.IsDead ? "The engine has failed and takes no more work." : "The server is stopping.");
        Drop([.. _scheduler.TakeRunning(), .. _scheduler.TakeWaiting()], fault);
        Volatile.Write(ref _running, 0);
        Volatile.Write(ref _queued, 0);
    }

    private void Drop(IReadOnlyList<Sequence> sequences, Exception fault)
    {
        foreach (var sequence in sequences) _delivery.End(sequence, new SequenceFailed(sequence.Choice, fault));
    }
}
