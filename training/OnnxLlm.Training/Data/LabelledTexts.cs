using System.Collections.Immutable;
using OnnxLlm.Text;

namespace OnnxLlm.Training.Data;

/// <summary>Texts that each have a label: one text is one sequence, filled up behind. Of one that is too long the end is left out.</summary>
internal sealed class LabelledTexts : ITextSequences
{
    private readonly ImmutableArray<(int[] Tokens, int Label)> _texts;

    /// <param name="lines">Texts whose labels are among the following.</param>
    /// <param name="length">T.</param>
    public LabelledTexts(IEnumerable<TextPair> lines, ImmutableArray<string> labels, Tokenizer tokenizer, int length)
    {
        Length = length;
        _texts = [.. lines.Select(line => (Cut(tokenizer.EncodeClassified(line.Input)), labels.IndexOf(line.Target)))];
    }

    public int Length { get; }

    public int Labels => 1;

    public long Count => _texts.Length;

    public int Shortened { get; private set; }

    public long Tokens => _texts.Sum(text => (long)text.Tokens.Length);

    public int Fill(long sequence, long draw, BatchRow row)
    {
        var (tokens, label) = _texts[(int)sequence];
        row.Blank();
        for (var t = 0; t < tokens.Length; t++) (row.InputIds[t], row.AttentionMask[t]) = (tokens[t], 1);
        row.Labels[0] = label;
        return 1;
    }

    private int[] Cut(int[] tokens)
    {
        if (tokens.Length <= Length) return tokens;
        Shortened++;
        return tokens[..Length];
    }
}
