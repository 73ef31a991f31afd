using OnnxLlm.Serving.Metrics;

namespace OnnxLlm.Serving.Engine;

/// <summary>Turns what the loop does into time stamps and metrics. It decides nothing.</summary>
internal sealed class EngineObserver(ServingMetrics metrics, TimeProvider time)
{
    private readonly CounterCell _decodes = metrics.Executions.Of("decode");
    private readonly CounterCell _encodes = metrics.Executions.Of("encode");
    private readonly CounterCell _prefills = metrics.Executions.Of("prefill");

    public void Arrived(Sequence sequence) => sequence.Times.Arrived = time.GetTimestamp();

    public void Planned(StepPlan plan)
    {
        if (plan.Tokens > 0) metrics.IterationTokens.Observe(plan.Tokens);
        if (plan.Decode.Count > 0)
        {
            metrics.BatchSize.Observe(plan.Decode.Count);
            _decodes.Add(1);
        }

        if (plan.Prefill is not { } chunk) return;
        _prefills.Add(1);
        if (chunk.Start != chunk.Sequence.Shared) return;
        Admitted(chunk.Sequence);
        if (chunk.Sequence.IsProbe) return;
        metrics.PrefixQueries.Add(chunk.Sequence.Prompt.Length);
        metrics.PrefixHits.Add(chunk.Sequence.Shared);
    }

    /// <summary>Texts that an encoder reads together.</summary>
    public void Encoding(IReadOnlyList<Sequence> sequences)
    {
        _encodes.Add(1);
        metrics.IterationTokens.Observe(sequences.Sum(sequence => sequence.Prompt.Length));
        foreach (var sequence in sequences) Admitted(sequence);
    }

    /// <summary>Answers that get their next token together.</summary>
    public void Decoding(int sequences)
    {
        metrics.BatchSize.Observe(sequences);
        metrics.IterationTokens.Observe(sequences);
        _decodes.Add(1);
    }

    public void Preempted(long sequences)
    {
        if (sequences > 0) metrics.Preemptions.Add(sequences);
    }

    public void Generated(Sequence sequence)
    {
        if (sequence.IsProbe) return;
        var (times, now) = (sequence.Times, time.GetTimestamp());
        metrics.GenerationTokens.Add(1);
        if (sequence.Generated == 1)
        {
            metrics.TimeToFirstToken.Observe(Seconds(times.Arrived, now));
            metrics.PrefillTime.Observe(Seconds(times.Admitted, now));
            times.FirstToken = now;
        }
        else
        {
            metrics.InterTokenLatency.Observe(Seconds(times.LastToken, now));
        }

        (times.LastToken, times.Tokens) = (now, sequence.Generated);
    }

    public void Finished(Sequence sequence)
    {
        if (sequence.IsProbe) return;
        var (times, now) = (sequence.Times, time.GetTimestamp());
        metrics.RequestLatency.Observe(Seconds(times.Arrived, now));
        metrics.InferenceTime.Observe(Seconds(times.Admitted, now));
        metrics.RequestGenerationTokens.Observe(sequence.Generated);
        if (sequence.Generated > 0) metrics.DecodeTime.Observe(Seconds(times.FirstToken, now));
        if (sequence.Generated > 1)
            metrics.TimePerOutputToken.Observe(Seconds(times.FirstToken, times.LastToken) / (sequence.Generated - 1));
    }

    /// <summary>Its request wants no more of it: a stop sequence came, or the client has gone. What it was given until then counts.</summary>
    public void Left(Sequence sequence)
    {
        if (sequence.Generated > 0) Finished(sequence);
    }

    public void Guessed(int proposed, int accepted)
    {
        metrics.DraftTokens.Add(proposed);
        metrics.AcceptedTokens.Add(accepted);
    }

    public void Faulted() => metrics.EngineFaults.Add(1);

    private void Admitted(Sequence sequence)
    {
        sequence.Times.Admitted = time.GetTimestamp();
        if (sequence.IsProbe) return;
        metrics.QueueTime.Observe(Seconds(sequence.Times.Arrived, sequence.Times.Admitted));
        if (sequence.IsSibling) return;
        metrics.PromptTokens.Add(sequence.Prompt.Length);
        metrics.RequestPromptTokens.Observe(sequence.Prompt.Length);
    }

    private double Seconds(long from, long to) => time.GetElapsedTime(from, to).TotalSeconds;
}
