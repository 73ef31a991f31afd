using OnnxLlm.Training.Metrics;

namespace OnnxLlm.Training.Progress;

/// <summary>One line per logged step, for files, pipes and build logs.</summary>
internal sealed class PlainView(TextWriter output) : IProgressView
{
    private int _logEvery = 1;

    public void Show(StartReport start, Action training)
    {
        _logEvery = start.LogEvery;
        output.WriteLine($"{start.Run}: {start.Model}, {Numbers.Short(start.Parameters)} parameters, {Numbers.Short(start.TrainingTokens)} training tokens, {start.TokensPerStep} per step");
        training();
    }

    public void Step(StepReport report)
    {
        var m = report.Metrics;
        if (m.Step % _logEvery != 0 && m.Step != report.PlannedSteps) return;
        output.WriteLine($"step {m.Step}{(report.PlannedSteps is { } n ? $"/{n}" : "")}  loss {Numbers.Loss(m.Loss)}  norm {Numbers.Text(m.GradientNorm ?? double.NaN, "0.00")}"
            + $"  lr {Numbers.Rate(m.LearningRate)}  {Numbers.Short(m.TokensPerSecond)} tok/s  {Numbers.Time(report.Elapsed)}{(report.Remaining is { } left ? $"  ETA {Numbers.Time(left)}" : "")}");
    }

    public void Validated(ValidationMetrics result) => output.WriteLine(
        $"step {result.Step}  validation loss {Numbers.Loss(result.ValidationLoss)} ± {Numbers.Loss(result.StandardError)}  {Quality(result)}");

    private static string Quality(ValidationMetrics result) => result.ValidationAccuracy is null
        ? $"perplexity {Numbers.Text(result.ValidationPerplexity ?? double.NaN, "0.00")}"
        : $"accuracy {Numbers.Share(result.ValidationAccuracy)} ± {Numbers.Share(result.AccuracyStandardError)}, of the most frequent label alone {Numbers.Share(result.MajorityAccuracy)}";

    public void Note(string line) => output.WriteLine(line);
}
