namespace OnnxLlm.Text.Files;

/// <summary>Reads a tokenizer folder in any of the three forms it comes in.</summary>
internal static class TokenizerReader
{
    // What well-known spellings mean where tokenizer_config.json says nothing.
    private static readonly (string Spelling, bool Bos, bool Eos, bool Pad, bool Unk)[] KnownRoles =
    [
        ("<|endoftext|>", true, true, false, false), ("<s>", true, false, false, false), ("</s>", false, true, false, false),
        ("<pad>", false, false, true, false), ("<|pad|>", false, false, true, false), ("<unk>", false, false, false, true),
    ];

    public static TokenizerModel Read(string folder)
    {
        if (!Directory.Exists(folder))
            throw new TextException($"tokenizer folder '{folder}' does not exist");
        var config = TokenizerConfig.Read(folder);
        var vocabulary = ReadVocabulary(folder, config);
        return vocabulary.ToModel(Roles(config, vocabulary), config.ChatTemplate);
    }

    private static VocabularyFile ReadVocabulary(string folder, TokenizerConfig config)
    {
        if (Existing(folder, "tokenizer.json") is { } json)
            return TokenizerJson.Read(json);
        if ((Existing(folder, "vocab.json") ?? Existing(folder, "encoder.json")) is not { } vocabulary
            || (Existing(folder, "merges.txt") ?? Existing(folder, "vocab.bpe")) is not { } merges)
            throw new TextException($"tokenizer folder '{folder}' has neither tokenizer.json nor vocab.json and merges.txt");
        return ReadTwoFiles(vocabulary, merges, config);
    }

    private static VocabularyFile ReadTwoFiles(string vocabularyPath, string mergesPath, TokenizerConfig config)
    {
        var vocabulary = new VocabularyFile(vocabularyPath);
        using (var json = JsonFile.Open(vocabularyPath))
            vocabulary.ReadTokens(json.Root);
        vocabulary.ReadMerges(File.ReadLines(mergesPath).Where(line => line.Length > 0 && !line.StartsWith("#version", StringComparison.Ordinal)));
        foreach (var token in config.AddedTokens)
            vocabulary.Add(token);
        foreach (string spelling in KnownRoles.Select(r => r.Spelling).Concat(config.Roles))
            if (vocabulary.Ids.TryGetValue(spelling, out int id))
                vocabulary.Add(new AddedToken(id, spelling, Special: true));
        return vocabulary;
    }

    private static SpecialTokens Roles(TokenizerConfig config, VocabularyFile vocabulary)
    {
        int? Role(string? named, Func<(string Spelling, bool Bos, bool Eos, bool Pad, bool Unk), bool> isKnown)
        {
            if (named is not null)
                return vocabulary.Special(named) ?? throw new TextException($"{config.Path}: '{named}' is not a special token of the vocabulary");
            return config.NamesRoles ? null : KnownRoles.Where(isKnown).Select(r => vocabulary.Special(r.Spelling)).FirstOrDefault(id => id is not null);
        }
        return new SpecialTokens
        {
            Bos = Role(config.Bos, r => r.Bos),
            Eos = Role(config.Eos, r => r.Eos),
            Pad = Role(config.Pad, r => r.Pad),
            Unk = Role(config.Unk, r => r.Unk),
            Ids = vocabulary.SpecialIds(),
        };
    }

    private static string? Existing(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        return File.Exists(path) ? path : null;
    }
}
