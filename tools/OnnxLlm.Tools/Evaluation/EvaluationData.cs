using OnnxLlm.Text;

namespace OnnxLlm.Tools.Evaluation;

/// <summary>The first tokens of a validation split, the unigram model of the training split beside it, and the first tokens of that.</summary>
/// <param name="Text">What is scored.</param>
/// <param name="Unigram">The baseline.</param>
/// <param name="Calibration">Text that is not scored, from which the quantizer may learn: at most <see cref="MostCalibration"/> tokens.</param>
/// <param name="Hash">Of the data.</param>
internal sealed record EvaluationData(EvaluationText Text, UnigramBaseline Unigram, int[] Calibration, string Hash)
{
    internal const int MostCalibration = 4096;

    private const int Chunk = 1 << 16;

    /// <param name="folder">Token shards.</param>
    /// <param name="tokenizer">That of the model; shards of another are refused.</param>
    /// <param name="tokens">At most so many are scored.</param>
    public static EvaluationData Load(string folder, Tokenizer tokenizer, int tokens)
    {
        if (tokens < 1) throw new ToolException($"At least one token must be scored, not {tokens}.");
        using TokenShards valid = TokenShards.Open(folder, Split.Valid), train = TokenShards.Open(folder, Split.Train);
        if (valid.TokenizerHash.Length > 0 && valid.TokenizerHash != tokenizer.Hash)
            throw new ToolException($"The shards in '{folder}' were made with another tokenizer than the model's.");
        if (Math.Max(valid.VocabularySize, train.VocabularySize) > tokenizer.VocabularySize)
            throw new ToolException($"The shards in '{folder}' hold ids of a vocabulary of {valid.VocabularySize}, the model's has {tokenizer.VocabularySize}.");
        if (valid.Length < 2) throw new ToolException($"'{folder}' holds {valid.Length} tokens for validation; at least 2 are needed.");
        int[] ids = new int[Math.Min(valid.Length, tokens + 1L)];
        valid.Read(0, ids);
        int[] calibration = new int[Math.Min(train.Length, MostCalibration)];
        train.Read(0, calibration);
        return new(new(ids, id => tokenizer.IsSpecial(id) ? 0 : tokenizer.Bytes(id).Length), Count(train, tokenizer.VocabularySize), calibration, valid.Hash);
    }

    private static UnigramBaseline Count(TokenShards train, int vocabulary)
    {
        var baseline = new UnigramBaseline(vocabulary);
        int[] chunk = new int[Chunk];
        for (long offset = 0; offset < train.Length; offset += Chunk)
        {
            var part = chunk.AsSpan(0, (int)Math.Min(Chunk, train.Length - offset));
            train.Read(offset, part);
            baseline.Count(part);
        }
        return baseline;
    }
}
