namespace OnnxLlm.Serving.Engine;

/// <summary>
/// Keeps running streams smooth, and slots filled. It learns from the steps how long a decode takes, and sizes the piece of a long prompt that is read between
/// two decodes so that the pause is a part of that, a larger one where others wait behind it. Short prompts are over in few pauses and are read in whole chunks, at once
/// where others wait or nobody is decoded: in small pieces they would keep their slot idle for most of an answer's time. Given a target for the time between two tokens, it keeps to that instead, and lowers
/// the number of sequences decoded together until 95 of 100 steps keep it. It is told the times; it has no clock.
/// </summary>
/// <param name="target">Seconds between two tokens; 0 for no target.</param>
/// <param name="readsWhileDecoding">A piece is read in the pass that decodes: it costs no pass of its own.</param>
internal sealed class LatencyGovernor(int slots, int largestChunk, double target, bool readsWhileDecoding = false)
{
    private const double ShortestPause = 0.005;             // of a pass of its own
    private const double PauseShare = 0.6;                  // of a decode: time between two tokens stays well below twice the usual
    private const double Trust = 0.5;                       // in a single pause: passes scatter, and what follows each of them scatters twice as much
    private const double Surprise = 1.5;                    // times longer or shorter than usual that a step counts: what is beyond came from elsewhere and will not come again
    private const int Looks = 16;                           // passes that read, of which one reads nothing, so that a decode is seen
    private const int ShortPrompt = 2;                      // whole chunks
    private const double Weight = 0.2;                      // of the newest step in the running means
    private const double Comfort = 0.8;                     // below this part of the target one more sequence is tried

    // Shorter ones take as long: the weights, or where a piece goes along the keys of the prompt, have to be read for one token as well.
    private readonly int _smallestChunk = readsWhileDecoding ? 3 : 4;
    private readonly int _slots = slots;
    private readonly double[] _steps = new double[20];
    private int _count;
    private int _most;                                      // sequences in a step since the last judgement
    private double _decode;
    private double _chunk;                                  // 0 until a pause was seen
    private int _unseen;                                    // passes that read since a decode was seen
    private int _asked = int.MaxValue;                      // no end of a prompt, no whole chunk
    private int _haste = 1;

    /// <summary>Sequences that may run together now.</summary>
    public int Cap { get; private set; } = slots;

    /// <summary>Prompt tokens that may be read before the next decode of <paramref name="decoding"/> sequences; 0 now and then, as a decode by itself has to be seen.</summary>
    /// <param name="prompt">Tokens of the prompt, read already or not.</param>
    /// <param name="waiting">Sequences that wait for this prompt to be over.</param>
    public int Chunk(int decoding, int prompt, int waiting)
    {
        _asked = int.MaxValue;
        if (decoding == 0) return ShortPrompt * largestChunk;
        if (target <= 0 && prompt <= ShortPrompt * largestChunk) return waiting > 0 ? ShortPrompt * largestChunk : largestChunk;
        if (_unseen >= Looks - 1) return 0;
        _haste = target > 0 ? 1 : 1 + waiting;
        return _asked = Math.Clamp((int)(_chunk * _haste), Math.Min(_smallestChunk, largestChunk), largestChunk);
    }

    /// <summary>Takes in a step.</summary>
    /// <param name="decoded">Sequences that got a token.</param>
    /// <param name="read">Prompt tokens.</param>
    public void Observe(int decoded, int read, double seconds)
    {
        if (read > 0)
        {
            _unseen++;
            if (decoded > 0 && _decode > 0) Learn(read, seconds - _decode);
            return;
        }

        if (decoded == 0) return;
        _unseen = 0;
        _decode = Mean(_decode, seconds);
        if (target <= 0) return;
        _most = Math.Max(_most, decoded);
        _steps[_count++] = seconds;
        if (_count == _steps.Length) Judge(decoded);
    }

    /// <summary>
    /// Scales the chunk by how far the pause was from what it may be. A chunk does not take time in proportion to its tokens, so this goes by steps, and what was
    /// not as long as asked for, as the end of a prompt, says nothing.
    /// </summary>
    private void Learn(int read, double pause)
    {
        if (read < _asked) return;
        var allowed = _haste * Math.Max(Math.Max(PauseShare * _decode, target - _decode), readsWhileDecoding ? 0 : ShortestPause);
        var asked = Math.Min(Math.Max(_chunk, _smallestChunk), (read + 1.0) / _haste);        // before it was cut to whole tokens, or to the largest chunk
        var chunk = asked * Math.Pow(Math.Clamp(allowed / Math.Max(pause, 1e-6), 1 / Surprise, Surprise), Trust);
        _chunk = Math.Clamp(chunk, _smallestChunk, Math.Max(_smallestChunk, largestChunk));
    }

    private void Judge(int decoded)
    {
        _count = 0;
        Array.Sort(_steps);
        var percentile95 = _steps[^2];
        if (percentile95 > target) Cap = Math.Max(1, Math.Min(Cap, _most) - 1);
        else if (percentile95 < Comfort * target && decoded >= Cap) Cap = Math.Min(_slots, Cap + 1);
        _most = 0;
    }

    private static double Mean(double mean, double value) => mean == 0 ? value : mean + Weight * (Math.Clamp(value, mean / Surprise, mean * Surprise) - mean);
}
