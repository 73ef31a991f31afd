using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Training;

/// <summary>
/// How many steps a run takes. Known at once for a budget of steps or epochs. A budget of minutes is planned from the measured pace, first
/// after a short calibration and again after each validation; every plan is recorded in the state, so a resume follows the same schedule.
/// </summary>
internal static class Plan
{
    /// <summary>Steps of a process before its pace is trusted, unless they take more than a tenth of the budget.</summary>
    private const int CalibrationSteps = 10;

    /// <summary>A new plan within this share of the old one is not worth a bend in the schedule.</summary>
    private const double Tolerance = 0.02;

    /// <summary>The number of steps, or null where the clock decides.</summary>
    public static long? Steps(RunConfig config, long windows) =>
        config.Epochs is { } epochs ? (epochs * windows + config.GlobalBatch - 1) / config.GlobalBatch : config.Steps;

    /// <summary>Sequences to train on before the data ends: all epochs, or no end.</summary>
    public static long End(RunConfig config, long windows) => config.Epochs is { } epochs ? epochs * windows : long.MaxValue;

    /// <summary>Whether the pace is known well enough to plan by. The first step, which also warms up the runtime, does not count.</summary>
    public static bool IsDue(Pace pace, TimeSpan budget) => pace.Steps >= CalibrationSteps || pace.Steps >= 3 && pace.Elapsed > budget / 10;

    /// <summary>The steps that fit into a time budget at the given pace; the earlier plan where that is close enough.</summary>
    public static long Within(TimeSpan budget, TimeSpan elapsed, long step, TimeSpan perStep, long? earlier)
    {
        var left = (budget - elapsed) / perStep;
        var planned = step + Math.Max(1, (long)left);
        return earlier is { } e && Math.Abs(planned - e) <= Tolerance * e ? e : planned;
    }
}
