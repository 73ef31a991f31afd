using System.Text;
using OnnxLlm.Text.Bpe;

namespace OnnxLlm.Text;

/// <summary>A token of a SentencePiece model: its bytes, spaces as spaces, and the score that orders merges, the highest first.</summary>
public readonly record struct ScoredPiece(byte[] Bytes, float Score);

/// <summary>Makes a LLaMA tokenizer of a list of scored pieces: ids 0 to 2 are <c>&lt;unk&gt;</c>, <c>&lt;s&gt;</c> and <c>&lt;/s&gt;</c>, the next 256 the bytes.</summary>
public static class SentencePieceVocabulary
{
    private const int Bos = 1, Eos = 2, FirstByte = 3, FirstPiece = FirstByte + 256;

    private static readonly AddedToken[] Control = [new(0, "<unk>", true), new(Bos, "<s>", true), new(Eos, "</s>", true)];

    /// <exception cref="TextException">The list is too short, or a token has a space inside.</exception>
    public static Tokenizer Create(IReadOnlyList<ScoredPiece> pieces)
    {
        if (pieces.Count < FirstPiece)
            throw new TextException($"a LLaMA vocabulary has at least {FirstPiece} tokens, this one {pieces.Count}");
        byte[][] tokens =
        [
            .. Control.Select(t => Encoding.UTF8.GetBytes(t.Content)),
            .. Enumerable.Range(0, 256).Select(b => new[] { (byte)b }),
            .. pieces.Skip(FirstPiece).Select(p => p.Bytes),
        ];
        return new Tokenizer(new TokenizerModel
        {
            Tokens = tokens,
            Merges = Merges(tokens, pieces),
            Added = Control,
            Special = SpecialRoles.Of(Control) with { AddsBos = true },
            Fallback = [.. Enumerable.Range(FirstByte, 256)],
        });
    }

    /// <summary>SentencePiece merges any two neighbours whose union is a token, the one of the highest score first; files list these pairs.</summary>
    private static Merge[] Merges(byte[][] tokens, IReadOnlyList<ScoredPiece> pieces)
    {
        var ids = new Dictionary<byte[], int>(new ByteComparer());
        for (int id = tokens.Length - 1; id >= FirstPiece; id--)
            ids[tokens[id]] = id;
        var lookup = ids.GetAlternateLookup<ReadOnlySpan<byte>>();
        var merges = new List<Merge>();
        for (int id = FirstPiece; id < tokens.Length; id++)
            for (int cut = 1; cut < tokens[id].Length; cut++)
                if (lookup.TryGetValue(tokens[id].AsSpan(0, cut), out int left) && lookup.TryGetValue(tokens[id].AsSpan(cut), out int right))
                    merges.Add(new Merge(left, right, id));
        return [.. merges.OrderByDescending(m => pieces[m.Result].Score).ThenBy(m => m.Left).ThenBy(m => m.Right)];
    }
}
