using System.Text;

namespace OnnxLlm.Text.Bpe;

/// <summary>
/// BPE over characters as SentencePiece does it for LLaMA: a space is put before the text, characters without a token are spelled in bytes, and nothing else
/// is normalised. Words are looked at one by one, because no token of such a vocabulary has a space behind another character; one that has is refused.
/// </summary>
internal sealed class SentencePieceBpe : IBpe
{
    private readonly MergeTable _merges;
    private readonly int[] _byteIds;
    private readonly Dictionary<Rune, int> _characters = [];
    private readonly PieceCache _cache = new();

    public SentencePieceBpe(TokenizerModel model)
    {
        _merges = new MergeTable(model.Merges);
        _byteIds = model.ByteIds();
        var others = model.Added.Select(t => t.Id).Concat(_byteIds).ToHashSet();
        for (int id = model.Tokens.Length - 1; id >= 0; id--)
            if (!others.Contains(id))
                Add(model.Tokens[id], id);
    }

    public void Encode(ReadOnlySpan<byte> text, bool begins, List<int> ids)
    {
        if (text.IsEmpty)
            return;
        ReadOnlySpan<byte> spaced = Normalised(text, begins);
        for (int start = 0, end; start < spaced.Length; start = end)
        {
            end = WordEnd(spaced, start);
            var word = spaced[start..end];
            if (!_cache.TryGet(word, out int[]? known))
                _cache.Add(word, known = _merges.Apply(Characters(word)));
            ids.AddRange(known);
        }
    }

    public ReadOnlySpan<byte> WithoutPrefix(ReadOnlySpan<byte> decoded) => decoded is [(byte)' ', ..] ? decoded[1..] : decoded;

    private void Add(byte[] token, int id)
    {
        if (WordEnd(token, 0) < token.Length)
            throw new TextException($"token '{Encoding.UTF8.GetString(token)}' (id {id}) has a space inside, which is not supported");
        if (Rune.DecodeFromUtf8(token, out var rune, out int length) == System.Buffers.OperationStatus.Done && length == token.Length)
            _characters[rune] = id;
    }

    private static byte[] Normalised(ReadOnlySpan<byte> text, bool begins)
    {
        var bytes = new List<byte>(text.Length + 1);
        if (begins)
            bytes.Add((byte)' ');
        for (int i = 0; i < text.Length; i++)
        {
            bool space = text[i..].StartsWith(SentencePieceAlphabet.Space);
            bytes.Add(space ? (byte)' ' : text[i]);
            if (space)
                i += SentencePieceAlphabet.Space.Length - 1;
        }
        return [.. bytes];
    }

    /// <summary>Spaces, and what follows up to the next of them.</summary>
    private static int WordEnd(ReadOnlySpan<byte> text, int start)
    {
        int end = start;
        while (end < text.Length && text[end] == ' ')
            end++;
        while (end < text.Length && text[end] != ' ')
            end++;
        return end;
    }

    private int[] Characters(ReadOnlySpan<byte> word)
    {
        var symbols = new List<int>(word.Length);
        while (!word.IsEmpty)
        {
            bool valid = Rune.DecodeFromUtf8(word, out var rune, out int length) == System.Buffers.OperationStatus.Done;
            if (valid && _characters.TryGetValue(rune, out int id))
                symbols.Add(id);
            else
                foreach (byte b in word[..length])
                    symbols.Add(_byteIds[b]);
            word = word[length..];
        }
        return [.. symbols];
    }
}
