using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Training.Configuration;

/// <summary>What a well-formed config must still obey; each broken rule is one line that says what was expected and what was found.</summary>
internal static class ConfigRules
{
    public static IEnumerable<string> Broken(RunConfig c) =>
        Ranges(c).Concat(Budget(c)).Concat(Batch(c)).Concat(Schedule(c)).Concat(Stability(c)).Concat(Records(c)).Concat(Context(c)).Concat(Stages(c)).Concat(Objectives(c)).Concat(Optimizer(c));

    private static IEnumerable<string> Ranges(RunConfig c)
    {
        var (o, s, t) = (c.Optimizer, c.Schedule, c.Stability);
        (string Name, double Value, bool Holds, string Rule)[] rules =
        [
            ("global_batch", c.GlobalBatch, c.GlobalBatch > 0, "above 0"),
            ("micro_batch", c.MicroBatch, c.MicroBatch > 0, "above 0"),
            ("sequence_length", c.SequenceLength ?? 1, c.SequenceLength is null or > 0, "above 0"),
            ("steps", c.Steps ?? 1, c.Steps is null or > 0, "above 0"),
            ("epochs", c.Epochs ?? 1, c.Epochs is null or > 0, "above 0"),
            ("minutes", c.Minutes ?? 1, c.Minutes is null or > 0, "above 0"),
            ("evaluate_every", c.EvaluateEvery, c.EvaluateEvery >= 0, "0 or more"),
            ("evaluate_tokens", c.EvaluateTokens, c.EvaluateTokens > 0, "above 0"),
            ("checkpoint_every", c.CheckpointEvery, c.CheckpointEvery >= 0, "0 or more"),
            ("keep", c.Keep, c.Keep > 0, "above 0"),
            ("log_every", c.LogEvery, c.LogEvery > 0, "above 0"),
            ("threads", c.Threads, c.Threads >= 0, "0 or more"),
            ("max_skipped_steps", c.MaxSkippedSteps, c.MaxSkippedSteps > 0, "above 0"),
            ("memory_limit_mb", c.MemoryLimitMb, c.MemoryLimitMb is >= 0 and <= 4294, "0 or more, and at most 4294, the most that the runtime's binding can limit"),
            ("loss_scale.initial", c.LossScale.Initial, c.LossScale.Initial is >= 1 and <= 1 << 30 && float.IsPow2(c.LossScale.Initial), "a power of two from 1 to 2^30"),
            ("loss_scale.growth_interval", c.LossScale.GrowthInterval, c.LossScale.GrowthInterval > 0, "above 0"),
            ("optimizer.learning_rate", o.LearningRate, o.LearningRate > 0, "above 0"),
            ("optimizer.beta1", o.Beta1, o.Beta1 is >= 0 and < 1, "from 0 up to, not including, 1"),
            ("optimizer.beta2", o.Beta2, o.Beta2 is >= 0 and < 1, "from 0 up to, not including, 1"),
            ("optimizer.momentum", o.Momentum, o.Momentum is >= 0 and < 1, "from 0 up to, not including, 1"),
            ("optimizer.epsilon", o.Epsilon, o.Epsilon > 0, "above 0"),
            ("optimizer.weight_decay", o.WeightDecay, o.WeightDecay >= 0, "0 or more"),
            ("optimizer.clip_norm", o.ClipNorm, o.ClipNorm >= 0, "0 or more"),
            ("optimizer.layer_decay", o.LayerDecay, o.LayerDecay is > 0 and <= 1, "above 0 and at most 1"),
            ("stability.spike_sigma", t.SpikeSigma, t.SpikeSigma >= 0, "0 or more"),
            ("stability.max_rollbacks", t.MaxRollbacks, t.MaxRollbacks >= 0, "0 or more"),
            ("stability.patience", t.Patience, t.Patience >= 0, "0 or more"),
            ("stability.min_delta", t.MinDelta, t.MinDelta >= 0, "0 or more"),
            ("stability.statistics_every", t.StatisticsEvery, t.StatisticsEvery >= 0, "0 or more"),
            ("tracking.peak_gflops", c.Tracking.PeakGflops ?? 1, c.Tracking.PeakGflops is null or > 0, "above 0"),
            ("tracking.co2_grams_per_kwh", c.Tracking.Co2GramsPerKwh ?? 0, c.Tracking.Co2GramsPerKwh is null or >= 0, "0 or more"),
            ("masking.rate", c.Masking.Rate, c.Masking.Rate is > 0 and < 1, "above 0 and below 1"),
            ("masking.mask", c.Masking.Mask, c.Masking.Mask is >= 0 and <= 1, "from 0 to 1"),
            ("masking.random", c.Masking.Random, c.Masking.Random >= 0 && c.Masking.Mask + c.Masking.Random <= 1, "0 or more, and with masking.mask at most 1"),
            ("spans.rate", c.Spans.Rate, c.Spans.Rate is > 0 and < 1, "above 0 and below 1"),
            ("spans.length", c.Spans.Length, c.Spans.Length >= 1, "at least 1"),
            ("samples.every", c.Samples.Every, c.Samples.Every >= 0, "0 or more"),
            ("samples.tokens", c.Samples.Tokens, c.Samples.Tokens > 0, "above 0"),
            ("samples.temperature", c.Samples.Temperature, c.Samples.Temperature >= 0, "0 or more"),
            ("schedule.warmup_steps", s.WarmupSteps, s.WarmupSteps >= 0, "0 or more"),
            ("schedule.min_learning_rate", s.MinLearningRate, s.MinLearningRate >= 0 && s.MinLearningRate <= o.LearningRate, "from 0 to optimizer.learning_rate"),
            ("schedule.decay_fraction", s.DecayFraction, s.DecayFraction is > 0 and <= 1, "above 0 and at most 1"),
        ];
        return rules.Where(r => !r.Holds).Select(r => FormattableString.Invariant($"{r.Name}: must be {r.Rule}, got {r.Value}"));
    }

    private static IEnumerable<string> Budget(RunConfig c)
    {
        var given = new[] { (c.Steps is not null, "steps"), (c.Epochs is not null, "epochs"), (c.Minutes is not null, "minutes") }.Where(b => b.Item1).Select(b => b.Item2).ToArray();
        if (given.Length == 0) yield return "one of steps, epochs and minutes must say when to stop";
        if (given.Length > 1) yield return $"only one of steps, epochs and minutes may be set, got {string.Join(" and ", given)}";
    }

    private static IEnumerable<string> Batch(RunConfig c)
    {
        if (c.GlobalBatch <= 0 || c.MicroBatch <= 0 || c.GlobalBatch % c.MicroBatch == 0) yield break;
        var (whole, rest) = int.DivRem(c.GlobalBatch, c.MicroBatch);
        yield return $"global_batch: {c.GlobalBatch} sequences do not divide into micro-batches of {c.MicroBatch}: {c.GlobalBatch} = {whole} × {c.MicroBatch} + {rest}";
    }

    private static IEnumerable<string> Schedule(RunConfig c) => c.Steps is > 0 and var steps ? LongerThan(steps, c) : [];

    /// <summary>What of a schedule, and of stages, does not fit into so many steps.</summary>
    public static IEnumerable<string> LongerThan(long steps, RunConfig c)
    {
        var s = c.Schedule;
        if (s.WarmupSteps >= steps) yield return $"schedule.warmup_steps: {s.WarmupSteps} must be below steps, {steps}";
        else if (s.Type == ScheduleKind.Wsd && s.WarmupSteps + s.DecaySteps(steps) > steps)
            yield return $"schedule: {s.WarmupSteps} steps of warm-up and {s.DecaySteps(steps)} of decay (decay_fraction) are more than the {steps} steps of the run";
        if (c.Stages.Sum(stage => (long)stage.Steps) is var shorter && shorter >= steps)
            yield return $"stages: their {shorter} steps must be below steps, {steps}, or no step sees whole sequences";
    }

    private static IEnumerable<string> Stability(RunConfig c)
    {
        if (c.Stability.OnSpike == SpikeAction.Rollback && c.CheckpointEvery == 0)
            yield return "stability.on_spike: rollback needs checkpoints to go back to, but checkpoint_every is 0";
        if (c.Stability.Patience > 0 && c.EvaluateEvery == 0)
            yield return "stability.patience: counts validations, but evaluate_every is 0";
    }

    private static IEnumerable<string> Records(RunConfig c)
    {
        if (c.Tracking.AddressMistake is { } mistake) yield return mistake;
        if (c.Samples.Every > 0 && c.Samples.Prompts.IsDefaultOrEmpty) yield return "samples.prompts: is empty, but samples.every asks for samples";
    }

    private static IEnumerable<string> Optimizer(RunConfig c)
    {
        if (c.Optimizer is { Moments: Moments.Int8, Type: not (OptimizerKind.AdamW or OptimizerKind.Muon) })
            yield return $"optimizer.moments: int8 is for adamw and muon, not for {StrictJson.NameOf(c.Optimizer.Type)}";
    }

    private static IEnumerable<string> Objectives(RunConfig c)
    {
        if (!Fit(c.Model).Contains(c.Objective)) yield return $"objective: a {c.Model.ModelType} model is trained by {string.Join(" or ", Fit(c.Model).Select(objective => StrictJson.NameOf(objective)))}";
        if (c.Model.IsClassifier && c.Objective == Objective.MaskedLm) yield return "objective: a model with labels is trained by classification";
        if (c is { Objective: Objective.Classification, Stages.IsEmpty: false }) yield return "stages: a text with a label is read whole";
        if (c.Model.IsEncoderDecoder && !c.Stages.IsEmpty) yield return "stages: a text and what is written for it cannot be cut into shorter ones";
        if (c is { Objective: Objective.Seq2Seq, Time: 1 }) yield return "sequence_length: must be above 1, or nothing fits before the end of a text";
        if (c.Objective == Objective.SpanCorruption && c.Time < SpanSequences.Shortest) yield return $"sequence_length: must be at least {SpanSequences.Shortest}, a token, a sentinel and an end";
        if (!c.Model.IsDecoder && c.Samples.Every > 0) yield return $"samples.every: a {c.Model.ModelType} model continues no text, so there are no samples of it";
    }

    private static Objective[] Fit(ModelConfig model) =>
        model.IsEncoderDecoder ? [Objective.Seq2Seq, Objective.SpanCorruption]
        : model.IsEncoder ? [Objective.MaskedLm, Objective.Classification]
        : [Objective.CausalLm];

    private static IEnumerable<string> Context(RunConfig c)
    {
        if (c.SequenceLength > c.Model.MaxPositions)
            yield return $"sequence_length: {c.SequenceLength} is longer than the model's context of {c.Model.MaxPositions}";
    }

    private static IEnumerable<string> Stages(RunConfig c)
    {
        foreach (var (i, stage) in c.Stages.Index())
        {
            if (stage.Steps <= 0) yield return $"stages[{i}].steps: must be above 0, got {stage.Steps}";
            if (stage.SequenceLength <= 0 || c.Time % stage.SequenceLength != 0)
                yield return $"stages[{i}].sequence_length: {stage.SequenceLength} does not divide the run's sequences of {c.Time}";
        }
        if (c is { Engine: EngineKind.OrtTraining, Stages.IsEmpty: false }) yield return "stages: engine ort-training knows sequences of one length only";
    }
}
