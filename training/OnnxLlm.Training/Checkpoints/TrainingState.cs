using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace OnnxLlm.Training.Checkpoints;

/// <summary>All that a run carries from step to step besides its tensors: <c>state.json</c> of a checkpoint.</summary>
internal sealed record TrainingState
{
    public const int CurrentFormat = 1;

    /// <summary>Length of <see cref="RecentLosses"/>.</summary>
    private const int Recent = 100;

    public int Format { get; init; } = CurrentFormat;

    /// <summary>Steps taken, skipped ones included; the next step has this index.</summary>
    public long Step { get; init; }

    /// <summary>Optimizer updates applied: the t of Adam's bias correction. A skipped step makes none.</summary>
    public long Updates { get; init; }

    /// <summary>Sequences consumed: the position in the data.</summary>
    public long Position { get; init; }

    /// <summary>Tokens read.</summary>
    public long Tokens { get; init; }

    /// <summary>Steps skipped because the loss or the gradient was not finite.</summary>
    public int Skipped { get; init; }

    public int SkippedInRow { get; init; }

    /// <summary>Where the run ends and the schedule with it; null while a time budget is still being calibrated.</summary>
    public long? PlannedSteps { get; init; }

    /// <summary>Wall clock spent so far, over all processes of the run.</summary>
    public double ElapsedSeconds { get; init; }

    /// <summary>Energy that the GPU took so far, over all processes of the run; null where nothing was measured.</summary>
    public double? EnergyJoules { get; init; }

    /// <summary>Validation loss at exactly this step, where it was measured.</summary>
    public double? ValidationLoss { get; init; }

    /// <summary>Share of right labels at exactly this step, where it was measured.</summary>
    public double? ValidationAccuracy { get; init; }

    /// <summary>Times that the run went back to a checkpoint because of a loss spike.</summary>
    public int Rollbacks { get; init; }

    /// <summary>What spikes have made of the schedule's learning rates: a share of them.</summary>
    public double LearningRateShare { get; init; } = 1;

    /// <summary>The lowest validation loss, from which early stopping counts.</summary>
    public double? BestValidationLoss { get; init; }

    /// <summary>Validations since <see cref="BestValidationLoss"/>.</summary>
    public int ValidationsWithoutGain { get; init; }

    /// <summary>Tokens of a piece of a micro-batch, where memory did not suffice for a whole one.</summary>
    public int? PieceTokens { get; init; }

    /// <summary>Losses of the last finite steps, oldest first.</summary>
    public ImmutableArray<double> RecentLosses { get; init; } = [];

    /// <summary>SHA-256 of the run's config; a checkpoint continues only the run it belongs to.</summary>
    public required string ConfigHash { get; init; }

    /// <summary>The exact bits of the next micro-batch's loss: recomputed on resume and compared before continuing.</summary>
    public string? NextLossBits { get; init; }

    /// <summary>Exponential mean of the recent losses, for people to look at.</summary>
    [JsonIgnore]
    public double? SmoothedLoss => RecentLosses.IsEmpty ? null : RecentLosses.Aggregate((mean, loss) => mean + 0.1 * (loss - mean));

    /// <summary>The state after a step that updated the weights.</summary>
    public TrainingState Updated(double loss, int sequences, long tokens) => Advanced(sequences, tokens) with
    {
        Updates = Updates + 1,
        SkippedInRow = 0,
        RecentLosses = [.. RecentLosses.Skip(Math.Max(0, RecentLosses.Length - Recent + 1)), loss],
    };

    /// <summary>The state after a step whose update was left out; a lowered loss scale is no sign that the run diverges, so such a step is not counted <paramref name="inRow"/>.</summary>
    public TrainingState WithSkip(int sequences, long tokens, bool inRow = true) =>
        Advanced(sequences, tokens) with { Skipped = Skipped + 1, SkippedInRow = SkippedInRow + (inRow ? 1 : 0) };

    /// <summary>The state after a validation; a loss is better when it is lower than the best by more than <paramref name="minDelta"/>.</summary>
    public TrainingState Validated(double? loss, double minDelta, double? accuracy = null)
    {
        var better = loss is { } value && !(value >= BestValidationLoss - minDelta);
        return this with
        {
            ValidationLoss = loss,
            ValidationAccuracy = accuracy,
            BestValidationLoss = better ? loss : BestValidationLoss,
            ValidationsWithoutGain = better ? 0 : ValidationsWithoutGain + 1,
        };
    }

    /// <summary>The state of an <paramref name="earlier"/> checkpoint, but with the data up to <paramref name="position"/> behind it.</summary>
    public TrainingState BackTo(TrainingState earlier, long position) => earlier with
    {
        Position = position,
        PlannedSteps = PlannedSteps,
        Rollbacks = Rollbacks + 1,
    };

    private TrainingState Advanced(int sequences, long tokens) => this with
    {
        Step = Step + 1,
        Position = Position + sequences,
        Tokens = Tokens + tokens,
        ValidationLoss = null,
        ValidationAccuracy = null,
    };
}
