namespace OnnxLlm.Serving.Engine;

/// <summary>
/// Keeps running streams smooth. It learns from the steps how long a decode and a prompt token take, sizes the piece of a prompt that is read between
/// two decodes so that the pause stays short, and, given a target for the time between two tokens, lowers the number of sequences decoded together until
/// 95 of 100 steps keep it. It is told the times; it has no clock.
/// </summary>
/// <param name="target">Seconds between two tokens; 0 for no target.</param>
internal sealed class LatencyGovernor(int slots, int largestChunk, double target)
{
    private const int SmallestChunk = 16;
    private const double ShortestPause = 0.005;
    private const double Weight = 0.2;                      // of the newest step in the running means
    private const double Comfort = 0.8;                     // below this part of the target one more sequence is tried

    private readonly int _slots = slots;
    private readonly double[] _steps = new double[20];
    private int _count;
    private double _decode;
    private double _promptToken;

    /// <summary>Sequences that may run together now.</summary>
    public int Cap { get; private set; } = slots;

    /// <summary>Prompt tokens that may be read before the next decode of <paramref name="decoding"/> sequences.</summary>
    public int Chunk(int decoding)
    {
        if (decoding == 0 || _promptToken == 0) return largestChunk;
        var pause = Math.Max(Math.Max(_decode, target - _decode), ShortestPause);
        return Math.Clamp((int)(pause / _promptToken), Math.Min(SmallestChunk, largestChunk), largestChunk);
    }

    /// <summary>Takes in a step.</summary>
    /// <param name="decoded">Sequences that got a token.</param>
    /// <param name="read">Prompt tokens.</param>
    public void Observe(int decoded, int read, double seconds)
    {
        if (read > 0)
        {
            _promptToken = Mean(_promptToken, Math.Max(0, seconds - (decoded > 0 ? _decode : 0)) / read);
            return;
        }

        if (decoded == 0) return;
        _decode = Mean(_decode, seconds);
        if (target <= 0) return;
        _steps[_count++] = seconds;
        if (_count == _steps.Length) Judge(decoded);
    }

    private void Judge(int decoded)
    {
        _count = 0;
        Array.Sort(_steps);
        var percentile95 = _steps[^2];
        if (percentile95 > target) Cap = Math.Max(1, Math.Min(Cap, decoded) - 1);
        else if (percentile95 < Comfort * target && decoded >= Cap) Cap = Math.Min(_slots, Cap + 1);
    }

    private static double Mean(double mean, double value) => mean == 0 ? value : mean + Weight * (value - mean);
}
