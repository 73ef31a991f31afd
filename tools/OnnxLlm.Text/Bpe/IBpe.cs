namespace OnnxLlm.Text.Bpe;

/// <summary>One of the two ways in which BPE is done: from bytes, as GPT-2 does, or from characters, as SentencePiece does. Safe for several threads.</summary>
internal interface IBpe
{
    /// <summary>Appends the ids of UTF-8 text.</summary>
    /// <param name="text">Any bytes.</param>
    /// <param name="begins">The text stands at the beginning of what is encoded.</param>
    /// <param name="ids">Grows.</param>
    void Encode(ReadOnlySpan<byte> text, bool begins, List<int> ids);

    /// <summary>Decoded bytes without what encoding puts before every text.</summary>
    ReadOnlySpan<byte> WithoutPrefix(ReadOnlySpan<byte> decoded);
}
