namespace OnnxLlm.Training.Configuration;

/// <summary>What is done about a loss that jumps.</summary>
public enum SpikeAction
{
    /// <summary>It is logged.</summary>
    Warn,

    /// <summary>The step's update is left out.</summary>
    Skip,

    /// <summary>The step's update is left out, and learning rates are half of what they were from there on.</summary>
    Lower,

    /// <summary>The weights of the last checkpoint come back, and training goes on with the data after the jump.</summary>
    Rollback,
}

/// <summary>What a run watches for, and what it does then.</summary>
public sealed record StabilityConfig
{
    /// <summary>A loss so many standard deviations above the mean of the recent ones is a spike; 0 looks for none.</summary>
    public double SpikeSigma { get; init; } = 6;

    public SpikeAction OnSpike { get; init; } = SpikeAction.Warn;

    /// <summary>Rollbacks of a run; further spikes are skipped.</summary>
    public int MaxRollbacks { get; init; } = 3;

    /// <summary>Validations in a row without a better loss after which training stops; 0 never stops early.</summary>
    public int Patience { get; init; }

    /// <summary>A validation loss is better when it is lower than the best by more than this.</summary>
    public double MinDelta { get; init; }

    /// <summary>Steps between measurements of each layer's gradients, weights and activations; 0 measures none.</summary>
    public int StatisticsEvery { get; init; }
}
