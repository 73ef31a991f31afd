namespace OnnxLlm.Text.Files;

/// <summary>Reads a tokenizer folder in any of the three forms it comes in.</summary>
internal static class TokenizerReader
{
    public static TokenizerModel Read(string folder)
    {
        if (!Directory.Exists(folder))
            throw new TextException($"tokenizer folder '{folder}' does not exist");
        var config = TokenizerConfig.Read(folder);
        var vocabulary = ReadVocabulary(folder, config);
        vocabulary.MakeSpecial(config.Roles);
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
        vocabulary.ReadMerges(File.ReadLines(mergesPath)
            .Where((line, number) => line.Length > 0 && !(number == 0 && line.StartsWith("#version", StringComparison.Ordinal))));
        foreach (var token in config.AddedTokens)
            vocabulary.Add(token);
        vocabulary.MakeSpecial(SpecialRoles.Known);
        return vocabulary;
    }

    /// <summary>The roles that the configuration gives; where it gives none, those that the spellings suggest.</summary>
    private static SpecialTokens Roles(TokenizerConfig config, VocabularyFile vocabulary)
    {
        if (!config.Roles.Any())
            return SpecialRoles.Of(vocabulary.Added);
        var ids = SpecialRoles.Ids(vocabulary.Added);
        int? Id(string? spelling) => spelling is null ? null : ids.TryGetValue(spelling, out int id) ? id
            : throw new TextException($"{config.Path}: '{spelling}' is not a special token of the vocabulary");
        return new SpecialTokens { Bos = Id(config.Bos), Eos = Id(config.Eos), Pad = Id(config.Pad), Unk = Id(config.Unk), Mask = Id(config.Mask), Ids = ids };
    }

    private static string? Existing(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        return File.Exists(path) ? path : null;
    }
}
