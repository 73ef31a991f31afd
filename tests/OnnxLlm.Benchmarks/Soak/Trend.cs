namespace OnnxLlm.Benchmarks.Soak;

/// <summary>
/// How much a noisy figure grew, and how much it might seem to have grown by chance. Neighbouring samples resemble each other, because collections and reloads
/// come in waves; so the line is laid through the means of a few long spans, whose scatter around it is the noise.
/// </summary>
/// <param name="Growth">Of the line, from the beginning to the end.</param>
/// <param name="Noise">Three standard errors of that.</param>
internal sealed record Trend(double Growth, double Noise)
{
    private const int Spans = 12;

    public static Trend Of(IReadOnlyList<double> values)
    {
        if (values.Count < Spans) throw new BenchmarkException($"A trend needs at least {Spans} samples, got {values.Count}.");
        double[] means = [.. Enumerable.Range(0, Spans).Select(span => values.Skip(span * values.Count / Spans).Take((span + 1) * values.Count / Spans - span * values.Count / Spans).Average())];
        double middle = (Spans - 1) / 2.0, mean = means.Average();
        double spread = Enumerable.Range(0, Spans).Sum(x => (x - middle) * (x - middle));
        double slope = Enumerable.Range(0, Spans).Sum(x => (x - middle) * (means[x] - mean)) / spread;
        double residual = Enumerable.Range(0, Spans).Sum(x => Square(means[x] - mean - slope * (x - middle))) / (Spans - 2);
        return new Trend(slope * Spans, 3 * Math.Sqrt(residual / spread) * Spans);
    }

    private static double Square(double value) => value * value;
}
