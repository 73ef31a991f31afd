namespace OnnxLlm.Text.Bpe;

/// <summary>BPE over the bytes of GPT-2's pieces.</summary>
internal sealed class ByteLevelBpe(TokenizerModel model) : IBpe
{
    private readonly MergeTable _merges = new(model.Merges);
    private readonly int[] _byteIds = model.ByteIds();
    private readonly PieceCache _cache = new();

    public void Encode(ReadOnlySpan<byte> text, bool begins, List<int> ids)
    {
        foreach (var piece in new Pieces(text))
        {
            if (!_cache.TryGet(piece, out int[]? known))
                _cache.Add(piece, known = Merge(piece));
            ids.AddRange(known);
        }
    }

    public ReadOnlySpan<byte> WithoutPrefix(ReadOnlySpan<byte> decoded) => decoded;

    private int[] Merge(ReadOnlySpan<byte> piece)
    {
        var symbols = new int[piece.Length];
        for (int i = 0; i < piece.Length; i++)
            symbols[i] = _byteIds[piece[i]];
        return _merges.Apply(symbols);
    }
}
