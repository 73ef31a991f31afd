namespace OnnxLlm.Tools.Evaluation;

/// <summary>Tokens per second of one model and one sequence.</summary>
internal sealed record Speed(double Prefill, double Decode);

/// <summary>Times two models in turns, so that what else the machine does hits both; medians of a few rounds after one to warm up.</summary>
internal sealed class SpeedComparison(TimeProvider time)
{
    private const int Rounds = 5, LongestPrompt = 128, MostSteps = 64;

    /// <param name="first">A model that answers.</param>
    /// <param name="second">Another of the same vocabulary.</param>
    /// <param name="text">Tokens to read: the prompt, and after it what is decoded, whatever the model would have said.</param>
    /// <param name="length">The longest sequence that both models hold.</param>
    public (Speed First, Speed Second) Measure(SequenceModel first, SequenceModel second, ReadOnlySpan<int> text, int length)
    {
        int available = Math.Min(length, text.Length), prompt = Math.Min(LongestPrompt, available / 2), steps = Math.Min(MostSteps, available - prompt);
        if (prompt == 0) throw new ToolException($"Speed cannot be measured on {available} tokens.");
        List<Speed> firsts = [], seconds = [];
        for (int round = 0; round <= Rounds; round++)
        {
            firsts.Add(Once(first, text, prompt, steps));
            seconds.Add(Once(second, text, prompt, steps));
        }
        return (Median(firsts), Median(seconds));
    }

    private Speed Once(SequenceModel model, ReadOnlySpan<int> text, int prompt, int steps)
    {
        long start = time.GetTimestamp();
        model.Append(text[..prompt], past: 0);
        var prefill = time.GetElapsedTime(start);
        start = time.GetTimestamp();
        for (int i = prompt; i < prompt + steps; i++) model.Append(text.Slice(i, 1), past: i);
        return new(prompt / prefill.TotalSeconds, steps / time.GetElapsedTime(start).TotalSeconds);
    }

    private static Speed Median(List<Speed> rounds)
    {
        var counted = rounds.Skip(1).ToArray();
        return new(Middle(counted.Select(s => s.Prefill)), Middle(counted.Select(s => s.Decode)));
    }

    private static double Middle(IEnumerable<double> values) => values.Order().ElementAt(Rounds / 2);
}
