using System.Text;
using System.Text.Json;
using OnnxLlm.Text.Bpe;

namespace OnnxLlm.Text.Files;

/// <summary>Vocabulary, merges and added tokens as they are read, in the files' spelling; knows the file for its error messages.</summary>
internal sealed class VocabularyFile(string path)
{
    private readonly List<(string Left, string Right)> _merges = [];
    private readonly SortedDictionary<int, AddedToken> _added = [];

    public Dictionary<string, int> Ids { get; } = new(StringComparer.Ordinal);

    /// <summary>Tokens are spelled as SentencePiece spells them, not in the alphabet of byte-level BPE.</summary>
    public bool IsSentencePiece { get; init; }

    /// <summary>Spelling of the token that the file wants before every text; null for none.</summary>
    public string? Beginning { get; init; }

    public IEnumerable<AddedToken> Added => _added.Values;

    public TextException Error(string what) => new($"{path}: {what}");

    /// <summary>Reads <c>{"token": id, …}</c>.</summary>
    public void ReadTokens(JsonElement vocabulary)
    {
        if (vocabulary.ValueKind != JsonValueKind.Object)
            throw Error("the vocabulary is not a JSON object");
        foreach (var token in vocabulary.EnumerateObject())
            Ids[token.Name] = token.Value.TryGetInt32(out int id) && id >= 0 ? id : throw Error($"token '{token.Name}' has no valid id");
    }

    /// <summary>Reads <c>left right</c> lines; a token contains no space.</summary>
    public void ReadMerges(IEnumerable<string> lines)
    {
        foreach (string line in lines)
            AddMerge(line.Split(' '));
    }

    public void AddMerge(string[] pair)
        => _merges.Add(pair.Length == 2 ? (pair[0], pair[1]) : throw Error($"merge '{string.Join(' ', pair)}' is not two tokens"));

    public void Add(AddedToken token) => _added[token.Id] = token;

    /// <summary>A token with a role is special whatever else is said of it; spellings that the vocabulary lacks are passed over.</summary>
    public void MakeSpecial(IEnumerable<string> spellings)
    {
        foreach (string spelling in spellings)
            if (_added.Values.FirstOrDefault(t => t.Content == spelling) is { } added)
                Add(added with { Special = true });
            else if (Ids.TryGetValue(spelling, out int id))
                Add(new AddedToken(id, spelling, Special: true));
    }

    public TokenizerModel ToModel(SpecialTokens special, string? chatTemplate)
    {
        var model = new TokenizerModel
        {
            Tokens = TokenBytes(),
            Merges = [.. _merges.Select(ToMerge)],
            Added = [.. _added.Values],
            Special = special with { AddsBos = Beginning is not null && special.Spelling(special.Bos) == Beginning },
            ChatTemplate = chatTemplate,
            Fallback = IsSentencePiece ? SentencePieceAlphabet.ByteTokens(Ids) : null,
        };
        int missing = Array.IndexOf(model.ByteIds(), -1);
        return missing < 0 ? model : throw Error($"the vocabulary has no token for byte 0x{missing:X2}; {(IsSentencePiece ? "byte fallback" : "byte-level BPE")} needs all 256");
    }

    private byte[][] TokenBytes()
    {
        int size = 1 + Ids.Values.Concat(_added.Keys).DefaultIfEmpty(-1).Max();
        if (size > (2 * (Ids.Count + _added.Count)) + 1024)
            throw Error($"token id {size - 1} is far beyond the {Ids.Count} tokens of the vocabulary");
        var tokens = new byte[size][];
        Array.Fill(tokens, []);
        foreach (var (spelling, id) in Ids)
            if (!_added.ContainsKey(id))
                tokens[id] = BytesOf(spelling, id);
        foreach (var token in _added.Values)
            tokens[token.Id] = Encoding.UTF8.GetBytes(token.Content);
        return tokens;
    }

    private byte[] BytesOf(string spelling, int id)
    {
        if (IsSentencePiece)
            return SentencePieceAlphabet.Read(spelling);
        return ByteAlphabet.TryRead(spelling, out byte[]? bytes) ? bytes
            : throw Error($"token '{spelling}' (id {id}) is not spelled in the alphabet of byte-level BPE");
    }

    private Merge ToMerge((string Left, string Right) pair)
    {
        int Id(string token) => Ids.TryGetValue(token, out int id) ? id
            : throw Error($"merge '{pair.Left} {pair.Right}' needs the token '{token}', which the vocabulary lacks");
        return new Merge(Id(pair.Left), Id(pair.Right), Id(pair.Left + pair.Right));
    }
}
