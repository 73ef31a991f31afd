namespace OnnxLlm.Serving.Metrics;

/// <summary>Counts of observations at or below each bound, their sum and their number.</summary>
/// <param name="bounds">Ascending upper bounds; +Inf is added.</param>
internal sealed class Histogram(string name, string help, IReadOnlyList<double> bounds) : IInstrument
{
    private readonly Lock _lock = new();
    private readonly long[] _counts = new long[bounds.Count + 1];
    private double _sum;

    public string Name => name;

    public long Count
    {
        get { lock (_lock) return _counts.Sum(); }
    }

    public double Sum
    {
        get { lock (_lock) return _sum; }
    }

    public void Observe(double value)
    {
        var bucket = 0;
        while (bucket < bounds.Count && value > bounds[bucket]) bucket++;
        lock (_lock)
        {
            _counts[bucket]++;
            _sum += value;
        }
    }

    public void Head(PrometheusText text, string shown) => text.Head(shown, help, "histogram");

    public void Write(PrometheusText text, string shown)
    {
        lock (_lock)
        {
            long below = 0;
            for (var i = 0; i < _counts.Length; i++)
            {
                below += _counts[i];
                var bound = i < bounds.Count ? bounds[i] : double.PositiveInfinity;
                text.Line($"{shown}_bucket", PrometheusText.Label("le", PrometheusText.Number(bound)), below);
            }

            text.Line($"{shown}_sum", "", _sum);
            text.Line($"{shown}_count", "", below);
        }
    }
}
