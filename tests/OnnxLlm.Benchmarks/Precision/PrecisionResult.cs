using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Precision;

/// <summary>The loss of every step, by what was trained with; the first is float32.</summary>
internal sealed record PrecisionResult(IReadOnlyList<(string Name, IReadOnlyList<double> Losses)> Curves)
{
    /// <summary>Steps of which a mean is taken, because single batches differ more than precisions do.</summary>
    public const int Window = 20;

    public IReadOnlyList<Goal> Goals =>
        [.. Curves.Skip(1).Select(curve => Goal.Most($"{curve.Name} loss against fp32, relative difference", Marks.Max(mark => Math.Abs(Difference(curve.Losses, mark))), 0.01))];

    /// <summary>Steps at which windows end, in six equal parts.</summary>
    public IReadOnlyList<int> Marks => [.. Enumerable.Range(1, 6).Select(i => i * Curves[0].Losses.Count / 6)];

    public static double Mean(IReadOnlyList<double> losses, int mark) => losses.Take(mark).TakeLast(Window).Average();

    public double Difference(IReadOnlyList<double> losses, int mark) => Mean(losses, mark) / Mean(Curves[0].Losses, mark) - 1;
}
