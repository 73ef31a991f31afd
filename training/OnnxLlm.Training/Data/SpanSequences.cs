using System.Collections.Immutable;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Training.Data;

/// <summary>
/// Cuts a stream of tokens into windows and hides spans of each (Raffel et al. 2020): the encoder reads a window in which each span is one sentinel, the decoder writes the
/// sentinels, each with what it stands for. Which spans, is a pure function of the seed and the number of the draw. A window is as long as what it becomes lets it be.
/// </summary>
/// <param name="sentinels">Their ids, the first span's first.</param>
/// <param name="model">Names the special tokens.</param>
internal sealed class SpanSequences(long tokens, TokenReader read, int length, SpansConfig spans, ImmutableArray<int> sentinels, ModelConfig model, long seed) : ISequences
{
    private readonly int _window = Enumerable.Range(2, 2 * length).TakeWhile(count => Fits(Plan(count, spans, sentinels.Length), count, length)).LastOrDefault();

    /// <summary>Shorter sequences have no room for a token, a sentinel and an end.</summary>
    public const int Shortest = 3;

    public int Length => length;

    public int Labels => length;

    public bool HasTargets => true;

    public long Count => (tokens + _window - 1) / _window;

    public int Fill(long sequence, long draw, BatchRow row)
    {
        var start = sequence * _window;
        Span<int> ids = new int[(int)Math.Min(_window, tokens - start)];
        read(start, ids);
        row.Blank();
        return ids.Length < 2 ? 0 : Hide(ids, Chance.Mix(Chance.Mix((ulong)seed) ^ (ulong)draw), row);
    }

    /// <summary>How many tokens of a window are hidden, in how many spans, between which at least one token stays.</summary>
    private static (int Hidden, int Spans) Plan(int count, SpansConfig spans, int sentinels)
    {
        var hidden = Math.Clamp((int)Math.Round(count * spans.Rate), 1, count - 1);
        return (hidden, Math.Clamp((int)Math.Round(hidden / spans.Length), 1, Math.Min(Math.Min(hidden, count - hidden), sentinels)));
    }

    /// <summary>What is read: what stays, the sentinels and the end; what is written: the sentinels, what is hidden and the end.</summary>
    private static bool Fits((int Hidden, int Spans) plan, int count, int length) => count - plan.Hidden + plan.Spans + 1 <= length && plan.Hidden + plan.Spans + 1 <= length;

    private int Hide(ReadOnlySpan<int> ids, ulong series, BatchRow row)
    {
        var (hidden, count) = Plan(ids.Length, spans, sentinels.Length);
        int[] kept = Parts(ids.Length - hidden, count, Chance.Mix(series)), gone = Parts(hidden, count, Chance.Mix(series + 1));
        List<int> input = [], target = [];
        for (var (span, at) = (0, 0); span < count; at += kept[span] + gone[span], span++)
        {
            input.AddRange(ids.Slice(at, kept[span]));
            input.Add(sentinels[span]);
            target.Add(sentinels[span]);
            target.AddRange(ids.Slice(at + kept[span], gone[span]));
        }

        row.Pair([.. input, model.EosTokenId!.Value], [.. target, model.EosTokenId!.Value], model.DecoderStartTokenId!.Value);
        return target.Count + 1;
    }

    /// <summary>Divides a number into so many parts of at least 1, every division as likely as any other: a part ends after each place that is chosen (Knuth, algorithm S).</summary>
    private static int[] Parts(int all, int count, ulong series)
    {
        var parts = new int[count];
        for (var (place, part) = (0, 0); place < all; place++)
        {
            parts[part]++;
            if (Chance.Uniform(series, place) * (all - 1 - place) < count - 1 - part) part++;
        }

        return parts;
    }
}
