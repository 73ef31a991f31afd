using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Training.Data;

/// <summary>
/// Texts for an encoder, each with what its decoder is to write. Both end with the end token and are cut, before it, to what fits. The decoder reads what it is to write one
/// place later, behind the token that begins answers.
/// </summary>
/// <param name="pairs">Token ids, without ends.</param>
/// <param name="length">T, the tokens of a text at most.</param>
/// <param name="model">Names the special tokens.</param>
internal sealed class PairSequences(IEnumerable<(int[] Input, int[] Target)> pairs, int length, ModelConfig model) : ISequenceSource
{
    private readonly (int[] Input, int[] Target)[] _pairs = [.. pairs.Select(pair => (Ended(pair.Input, length, model), Ended(pair.Target, length, model)))];

    public int Length => length;

    public long Count => _pairs.Length;

    public bool HasTargets => true;

    /// <summary>Of all texts, ends included.</summary>
    public long Tokens => _pairs.Sum(pair => (long)pair.Input.Length + pair.Target.Length);

    public int Fill(long sequence, long draw, BatchRow row)
    {
        var (input, target) = _pairs[sequence];
        row.Blank();
        row.Pair(input, target, model.DecoderStartTokenId!.Value);
        return target.Length;
    }

    private static int[] Ended(int[] tokens, int length, ModelConfig model) => [.. tokens.Take(length - 1), model.EosTokenId!.Value];
}
