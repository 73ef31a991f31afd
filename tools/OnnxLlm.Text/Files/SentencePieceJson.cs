using System.Text.Json;
using OnnxLlm.Text.Bpe;

namespace OnnxLlm.Text.Files;

/// <summary>
/// What <c>tokenizer.json</c> says around the vocabulary where Hugging Face's converter made it of a LLaMA tokenizer: a space before the text, spaces written
/// as U+2581, and perhaps a token before everything.
/// </summary>
internal static class SentencePieceJson
{
    private static readonly string Sign = SentencePieceAlphabet.SpaceSign.ToString();

    public static bool IsMeant(JsonElement root) => Parts(root, "normalizer", "normalizers").Any(part => TypeOf(part) == "Prepend");

    public static void Check(JsonElement root, string path)
    {
        Require(Parts(root, "normalizer", "normalizers") is [var prepend, var replace] && Is(prepend, "Prepend", "prepend", Sign) && IsReplace(replace, " ", Sign), "normalizer");
        Require(!root.TryGetProperty("pre_tokenizer", out var pieces) || pieces.ValueKind == JsonValueKind.Null, "pre_tokenizer");
        Require(Parts(root, "decoder", "decoders") is [var back, var bytes, var fuse, var strip]
            && IsReplace(back, Sign, " ") && TypeOf(bytes) == "ByteFallback" && TypeOf(fuse) == "Fuse" && TypeOf(strip) == "Strip", "decoder");

        void Require(bool holds, string key)
        {
            if (!holds)
                throw new TextException($"{path}: $.{key} is not what it is for a LLaMA tokenizer, and nothing else is supported with a prepended space");
        }
    }

    /// <summary>Spelling of the token that is put before every text; null for none.</summary>
    public static string? Beginning(JsonElement root, string path)
    {
        if (!root.TryGetProperty("post_processor", out var processor) || processor.ValueKind == JsonValueKind.Null)
            return null;
        JsonElement[] single = TypeOf(processor) == "TemplateProcessing" && processor.TryGetProperty("single", out var list) && list.ValueKind == JsonValueKind.Array
            ? [.. list.EnumerateArray()]
            : [];
        return single switch
        {
            [var text] when Has(text, "Sequence") => null,
            [var first, var text] when Has(first, "SpecialToken") && Has(text, "Sequence") => Text(first.GetProperty("SpecialToken"), "id"),
            _ => throw new TextException($"{path}: $.post_processor is not supported; at most one token may stand before a text"),
        };
    }

    public static void WritePipeline(Utf8JsonWriter json, SpecialTokens special)
    {
        json.WritePropertyName("normalizer");
        Write(json, new { type = "Sequence", normalizers = new object[] { new { type = "Prepend", prepend = Sign }, Replace(" ", Sign) } });
        json.WriteNull("pre_tokenizer");
        json.WritePropertyName("post_processor");
        Write(json, special.AddsBos ? Template(special.Spelling(special.Bos)!, special.Bos!.Value) : null);
        json.WritePropertyName("decoder");
        object[] decoders = [Replace(Sign, " "), new { type = "ByteFallback" }, new { type = "Fuse" }, new { type = "Strip", content = " ", start = 1, stop = 0 }];
        Write(json, new { type = "Sequence", decoders });
    }

    private static object Template(string spelling, int id)
    {
        object Begin(int type) => new { SpecialToken = new { id = spelling, type_id = type } };
        object Text(string name, int type) => new { Sequence = new { id = name, type_id = type } };
        return new
        {
            type = "TemplateProcessing",
            single = new[] { Begin(0), Text("A", 0) },
            pair = new[] { Begin(0), Text("A", 0), Begin(1), Text("B", 1) },
            special_tokens = new Dictionary<string, object> { [spelling] = new { id = spelling, ids = new[] { id }, tokens = new[] { spelling } } },
        };
    }

    private static object Replace(string from, string to) => new { type = "Replace", pattern = new { String = from }, content = to };

    private static void Write(Utf8JsonWriter json, object? value) => JsonSerializer.Serialize(json, value);

    private static JsonElement[] Parts(JsonElement root, string key, string parts) =>
        root.TryGetProperty(key, out var component) && TypeOf(component) == "Sequence" && component.TryGetProperty(parts, out var list) && list.ValueKind == JsonValueKind.Array
            ? [.. list.EnumerateArray()]
            : [];

    private static bool Has(JsonElement part, string key) => part.ValueKind == JsonValueKind.Object && part.TryGetProperty(key, out _);

    private static bool IsReplace(JsonElement part, string from, string to) =>
        Is(part, "Replace", "content", to) && part.TryGetProperty("pattern", out var pattern) && Text(pattern, "String") == from;

    private static bool Is(JsonElement part, string type, string key, string value) => TypeOf(part) == type && Text(part, key) == value;

    private static string? TypeOf(JsonElement part) => Text(part, "type");

    private static string? Text(JsonElement part, string key) =>
        part.ValueKind == JsonValueKind.Object && part.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
