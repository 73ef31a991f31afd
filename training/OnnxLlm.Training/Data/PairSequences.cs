using System.Collections.Immutable;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Training.Data;

/// <summary>
/// Texts for an encoder, each with what its decoder is to write. Both end with the end token and are cut, before it, to what fits. The decoder reads what it is to write one
/// place later, behind the token that begins answers.
/// </summary>
internal sealed class PairSequences : ITextSequences
{
    private readonly ImmutableArray<(int[] Input, int[] Target)> _pairs;
    private readonly ModelConfig _model;

    /// <param name="pairs">Token ids, without ends.</param>
    /// <param name="length">T, the tokens of a text at most.</param>
    /// <param name="model">Names the special tokens.</param>
    public PairSequences(IEnumerable<(int[] Input, int[] Target)> pairs, int length, ModelConfig model)
    {
        (Length, _model) = (length, model);
        _pairs = [.. pairs.Select(Ended)];
    }

    public int Length { get; }

    public int Labels => Length;

    public bool HasTargets => true;

    public long Count => _pairs.Length;

    /// <summary>Pairs of which one side, or both, were too long.</summary>
    public int Shortened { get; private set; }

    /// <summary>Of all texts, ends included.</summary>
    public long Tokens => _pairs.Sum(pair => (long)pair.Input.Length + pair.Target.Length);

    public int Fill(long sequence, long draw, BatchRow row)
    {
        var (input, target) = _pairs[(int)sequence];
        row.Blank();
        row.Pair(input, target, _model.DecoderStartTokenId!.Value);
        return target.Length;
    }

    private (int[] Input, int[] Target) Ended((int[] Input, int[] Target) pair)
    {
        if (Math.Max(pair.Input.Length, pair.Target.Length) >= Length) Shortened++;
        return (Ended(pair.Input), Ended(pair.Target));
    }

    private int[] Ended(int[] tokens) => [.. tokens.Take(Length - 1), _model.EosTokenId!.Value];
}
