using OnnxLlm.Training.Metrics;

namespace OnnxLlm.Training.Progress;

/// <summary>What a view says once, at the start.</summary>
internal sealed record StartReport(string Run, string Model, long Parameters, long TrainingTokens, long TokensPerStep, TimeSpan? Budget, int LogEvery);

/// <summary>What a view shows after a step.</summary>
/// <param name="Metrics">The step itself.</param>
/// <param name="SmoothedLoss">Exponential mean of the losses; null before the first finite one.</param>
/// <param name="PlannedSteps">Where the run ends, once that is known.</param>
/// <param name="Elapsed">Wall clock since the run began, earlier processes included.</param>
/// <param name="Remaining">Estimated wall clock to the end, once it can be estimated.</param>
internal sealed record StepReport(StepMetrics Metrics, double? SmoothedLoss, long? PlannedSteps, TimeSpan Elapsed, TimeSpan? Remaining);

/// <summary>Shows a run to a person: a live picture in a terminal, plain lines elsewhere.</summary>
internal interface IProgressView
{
    /// <summary>Runs the training inside the view's surroundings.</summary>
    void Show(StartReport start, Action training);

    void Step(StepReport report);

    void Validated(ValidationMetrics result);

    /// <summary>A line that stays: a checkpoint, a skipped step, a plan.</summary>
    void Note(string line);
}
