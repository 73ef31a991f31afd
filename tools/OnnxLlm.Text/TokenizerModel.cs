using OnnxLlm.Text.Bpe;

namespace OnnxLlm.Text;

/// <summary>All that a tokenizer's files say.</summary>
internal sealed record TokenizerModel
{
    /// <summary>The bytes of each token by id; empty where the vocabulary skips an id.</summary>
    public required byte[][] Tokens { get; init; }

    /// <summary>In order of precedence.</summary>
    public required Merge[] Merges { get; init; }

    public required AddedToken[] Added { get; init; }

    public required SpecialTokens Special { get; init; }

    public string? ChatTemplate { get; init; }

    /// <summary>
    /// SentencePiece: the tokens of the 256 bytes, which spell the characters that have no token. Null: byte-level BPE, whose tokens are all made of bytes.
    /// </summary>
    public int[]? Fallback { get; init; }

    /// <summary>The class that other libraries load such files with.</summary>
    public string ClassName => Fallback is null ? "PreTrainedTokenizerFast" : "LlamaTokenizerFast";

    public IBpe Bpe() => Fallback is null ? new ByteLevelBpe(this) : new SentencePieceBpe(this);

    /// <summary>How files write a token that is not an added one.</summary>
    public string Spell(int id) => Fallback is null ? ByteAlphabet.Spell(Tokens[id]) : SentencePieceAlphabet.Spell(Tokens[id], Fallback.Contains(id));

    /// <summary>The token of each of the 256 bytes, -1 where one has none. Added tokens are no candidates: only BPE's own may stand for text.</summary>
    public int[] ByteIds()
    {
        if (Fallback is not null)
            return Fallback;
        var ids = new int[256];
        Array.Fill(ids, -1);
        var added = Added.Select(t => t.Id).ToHashSet();
        for (int id = Tokens.Length - 1; id >= 0; id--)
            if (Tokens[id].Length == 1 && !added.Contains(id))
                ids[Tokens[id][0]] = id;
        return ids;
    }
}
