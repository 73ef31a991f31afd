namespace OnnxLlm.Tools.Evaluation;

/// <summary>Mean and its standard error of numbers seen one by one (Welford's method).</summary>
internal sealed class RunningMean
{
    private double _squares;

    public long Count { get; private set; }

    public double Mean { get; private set; }

    /// <summary>Standard deviation of the mean, taking the numbers as independent; 0 for fewer than two.</summary>
    public double StandardError => Count < 2 ? 0 : Math.Sqrt(_squares / (Count - 1) / Count);

    public void Add(double value)
    {
        Count++;
        double before = value - Mean;
        Mean += before / Count;
        _squares += before * (value - Mean);
    }
}
