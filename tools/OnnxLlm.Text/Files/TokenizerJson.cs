using System.Text.Json;

namespace OnnxLlm.Text.Files;

/// <summary>
/// Reads Hugging Face's <c>tokenizer.json</c> where it holds byte-level BPE, or SentencePiece's BPE as LLaMA has it. A component that would change the ids and is not of this
/// subset is refused by its JSON path. Truncation and padding are settings of a caller, not of a tokenizer, and are passed over.
/// </summary>
internal static class TokenizerJson
{
    public static VocabularyFile Read(string path)
    {
        using var json = JsonFile.Open(path);
        var root = json.Root;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("model", out var model) || model.ValueKind != JsonValueKind.Object)
            throw new TextException($"{path}: $.model is missing");
        bool sentencePiece = SentencePieceJson.IsMeant(root);
        if (sentencePiece)
            SentencePieceJson.Check(root, path);
        else
            CheckPipeline(root, path);
        CheckModel(model, sentencePiece, path);
        var vocabulary = new VocabularyFile(path) { IsSentencePiece = sentencePiece, Beginning = sentencePiece ? SentencePieceJson.Beginning(root, path) : null };
        vocabulary.ReadTokens(model.TryGetProperty("vocab", out var tokens) ? tokens : default);
        ReadMerges(model, vocabulary);
        if (root.TryGetProperty("added_tokens", out var added) && added.ValueKind == JsonValueKind.Array)
            foreach (var (index, token) in added.EnumerateArray().Index())
                vocabulary.Add(ReadAdded(token, null, $"{path}: $.added_tokens[{index}]"));
        return vocabulary;
    }

    /// <param name="token">The token's object.</param>
    /// <param name="id">Its id where the object's key gives it; otherwise the object does.</param>
    /// <param name="place">For error messages.</param>
    public static AddedToken ReadAdded(JsonElement token, int? id, string place)
    {
        if (token.ValueKind != JsonValueKind.Object || !token.TryGetProperty("content", out var content) || content.GetString() is not { Length: > 0 } spelling)
            throw new TextException($"{place} has no content");
        foreach (string flag in (string[])["single_word", "rstrip"])
            if (IsTrue(token, flag))
                throw new TextException($"{place}.{flag} is true, which is not supported");
        if (id is null && token.TryGetProperty("id", out var number) && number.TryGetInt32(out int value))
            id = value;
        return id >= 0 ? new AddedToken(id.Value, spelling, IsTrue(token, "special")) { TakesBlanks = IsTrue(token, "lstrip") } : throw new TextException($"{place} has no valid id");
    }

    private static void CheckPipeline(JsonElement root, string path)
    {
        Require(IsNull(root, "normalizer"), "$.normalizer", root, "normalizer", path, "null");
        Require(HasType(root, "pre_tokenizer", "ByteLevel"), "$.pre_tokenizer", root, "pre_tokenizer", path, "ByteLevel");
        var pieces = root.GetProperty("pre_tokenizer");
        Require(!IsTrue(pieces, "add_prefix_space"), "$.pre_tokenizer.add_prefix_space", pieces, "add_prefix_space", path, "false");
        Require(IsNull(pieces, "use_regex") || IsTrue(pieces, "use_regex"), "$.pre_tokenizer.use_regex", pieces, "use_regex", path, "true");
        Require(IsNull(root, "post_processor") || HasType(root, "post_processor", "ByteLevel"), "$.post_processor", root, "post_processor", path, "null or ByteLevel");
        Require(IsNull(root, "decoder") || HasType(root, "decoder", "ByteLevel"), "$.decoder", root, "decoder", path, "ByteLevel");
    }

    private static void CheckModel(JsonElement model, bool sentencePiece, string path)
    {
        // Files older than the "type" key hold BPE where they hold merges.
        Require(HasType(model, "", "BPE") || IsNull(model, "type"), "$.model", model, "type", path, "BPE");
        foreach (string affix in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            Require(IsNull(model, affix) || model.GetProperty(affix).ValueEquals(""), $"$.model.{affix}", model, affix, path, "null");
        Require(IsTrue(model, "byte_fallback") == sentencePiece, "$.model.byte_fallback", model, "byte_fallback", path, sentencePiece ? "true" : "false");
        Require(!IsTrue(model, "ignore_merges"), "$.model.ignore_merges", model, "ignore_merges", path, "false");
        Require(IsNull(model, "dropout") || model.GetProperty("dropout").GetRawText() is "0" or "0.0", "$.model.dropout", model, "dropout", path, "null");
    }

    private static void ReadMerges(JsonElement model, VocabularyFile vocabulary)
    {
        if (!model.TryGetProperty("merges", out var merges) || merges.ValueKind != JsonValueKind.Array)
            throw vocabulary.Error("$.model.merges is missing");
        foreach (var merge in merges.EnumerateArray())
            vocabulary.AddMerge(merge.ValueKind == JsonValueKind.Array
                ? [.. merge.EnumerateArray().Select(token => token.GetString() ?? "")]
                : (merge.GetString() ?? "").Split(' '));
    }

    private static void Require(bool holds, string place, JsonElement parent, string key, string path, string expected)
    {
        if (!holds)
            throw new TextException($"{path}: {place} is {Describe(parent, key)}, which is not supported; byte-level BPE has {expected} there");
    }

    private static string Describe(JsonElement parent, string key)
    {
        if (!parent.TryGetProperty(key, out var value))
            return "missing";
        if (value.ValueKind == JsonValueKind.Object)
            return value.TryGetProperty("type", out var type) ? $"'{type}'" : "an object";
        return value.ValueKind == JsonValueKind.String ? $"'{value}'" : value.GetRawText();
    }

    private static bool HasType(JsonElement parent, string key, string type)
    {
        var component = key.Length == 0 ? parent : parent.TryGetProperty(key, out var found) ? found : default;
        return component.ValueKind == JsonValueKind.Object && component.TryGetProperty("type", out var name) && name.ValueEquals(type);
    }

    private static bool IsNull(JsonElement parent, string key)
        => !parent.TryGetProperty(key, out var value) || value.ValueKind == JsonValueKind.Null;

    private static bool IsTrue(JsonElement parent, string key)
        => parent.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.True;
}
