namespace OnnxLlm.Training.Configuration;

public enum ScheduleKind
{
    Cosine,
    Linear,
    Constant,
    Wsd,
}

/// <summary>The learning rate over the steps: a linear warm-up, then one of four shapes.</summary>
public sealed record ScheduleConfig
{
    public ScheduleKind Type { get; init; } = ScheduleKind.Cosine;

    public int WarmupSteps { get; init; }

    /// <summary>Where the decay ends; unused by <see cref="ScheduleKind.Constant"/>.</summary>
    public double MinLearningRate { get; init; }

    /// <summary>Share of the steps that <see cref="ScheduleKind.Wsd"/> spends decaying, at the end.</summary>
    public double DecayFraction { get; init; } = 0.2;

    /// <summary>How many of so many steps <see cref="ScheduleKind.Wsd"/> decays for.</summary>
    internal long DecaySteps(long steps) => (long)Math.Round(steps * DecayFraction);
}
