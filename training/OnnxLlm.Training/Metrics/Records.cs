using System.Collections.Immutable;

namespace OnnxLlm.Training.Metrics;

/// <summary>One optimizer step in <c>metrics.jsonl</c>. Loss and norm are absent where they were not finite.</summary>
internal sealed record StepMetrics
{
    public required long Step { get; init; }

    /// <summary>Mean loss per valid token of the step's batch, in nats.</summary>
    public double? Loss { get; init; }

    public double? Perplexity => Finite.OrNull(Math.Exp(Loss ?? double.NaN));

    public required double LearningRate { get; init; }

    /// <summary>Global norm of the gradients before clipping.</summary>
    public double? GradientNorm { get; init; }

    /// <summary>How many deviations the loss lies above the recent ones, where that makes it a spike.</summary>
    public double? Spike { get; init; }

    /// <summary>Tokens read so far.</summary>
    public required long Tokens { get; init; }

    public required double TokensPerSecond { get; init; }

    /// <summary>The model's arithmetic per second, in GFLOP/s: three times the forward pass's matrix products and attention, per token.</summary>
    public double? ModelGflops { get; init; }

    /// <summary>Model FLOPs utilisation: <see cref="ModelGflops"/> as a share of <c>tracking.peak_gflops</c>, where that is given.</summary>
    public double? Mfu { get; init; }

    /// <summary>Share of the step's time that the loop waited for data.</summary>
    public double? DataWait { get; init; }

    /// <summary>Share of the runtime's threads' time that the process computed, since the last logged step.</summary>
    public double? CpuShare { get; init; }

    /// <summary>Memory that the process has resident, in MB.</summary>
    public double? ResidentMb { get; init; }

    /// <summary>Share of the last moments in which the GPU computed. This and the next four are absent without a GPU, or where its driver does not tell.</summary>
    public double? GpuUtilization { get; init; }

    /// <summary>Memory of the GPU in use, in MB, by whomever.</summary>
    public double? GpuMemoryMb { get; init; }

    public double? GpuWatts { get; init; }

    /// <summary>Energy that the GPU took for the run so far, over all of its processes.</summary>
    public double? EnergyKwh { get; init; }

    /// <summary>The CO2 of that energy, by <c>tracking.co2_grams_per_kwh</c>, where that is given.</summary>
    public double? Co2Grams { get; init; }

    public required double ElapsedSeconds { get; init; }

    /// <summary>Steps skipped so far.</summary>
    public int Skipped { get; init; }

    /// <summary>The factor of the gradients in float16, after this step.</summary>
    public double? LossScale { get; init; }
}

/// <summary>One validation: the mean loss over the labels of the fixed set, in nats, with its standard error; absent where not finite.</summary>
internal sealed record ValidationMetrics(long Step, double? ValidationLoss, double? StandardError, long ValidationTokens)
{
    /// <summary>Absent of a classifier.</summary>
    public double? ValidationPerplexity => ValidationAccuracy is null ? Finite.OrNull(Math.Exp(ValidationLoss ?? double.NaN)) : null;

    /// <summary>Share of the texts whose likeliest label is the right one; only of a classifier.</summary>
    public double? ValidationAccuracy { get; init; }

    /// <summary>√(p(1−p)/n) of the accuracy p over n texts.</summary>
    public double? AccuracyStandardError => ValidationAccuracy is { } p ? Math.Sqrt(p * (1 - p) / ValidationTokens) : null;

    /// <summary>The accuracy that always answering the set's most frequent label would have.</summary>
    public double? MajorityAccuracy { get; init; }

    /// <summary>The wall clock it took.</summary>
    public double Seconds { get; init; }
}

/// <summary>A layer on a sampled step: a block, the embeddings, or the head with the last norm. Values are absent where not finite or not measured.</summary>
/// <param name="GradientNorm">Norm of the step's gradients, before clipping.</param>
/// <param name="WeightNorm">Norm of the weights after the step.</param>
internal sealed record LayerMetrics(string Layer, double? GradientNorm, double? WeightNorm)
{
    /// <summary>Mean over all elements of the block's output.</summary>
    public double? ActivationMean { get; init; }

    /// <summary>Their standard deviation.</summary>
    public double? ActivationDeviation { get; init; }

    /// <summary>Their largest absolute value.</summary>
    public double? ActivationMax { get; init; }
}

/// <summary>The layers on one sampled step.</summary>
internal sealed record LayerReport(long Step, ImmutableArray<LayerMetrics> Layers);

/// <summary>A text that the model went on with after a prompt, at this step.</summary>
internal sealed record TextSample(long Step, string Prompt, string Sample);

/// <summary>Something worth a line: planned, resumed, skipped, checkpoint, stopped, finished.</summary>
internal sealed record RunEvent(long Step, string Event, string Message);
