using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using OnnxLlm.Text.Bpe;

namespace OnnxLlm.Text.Files;

/// <summary>Writes a tokenizer in the ecosystem's file forms. Equal tokenizers give equal bytes.</summary>
internal static class TokenizerWriter
{
    private static readonly JsonWriterOptions Indented = new() { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(TokenizerModel model, string folder)
    {
        Directory.CreateDirectory(folder);
        if (model.Fallback is null)
            WriteTwoFiles(model, folder);
        AtomicFile.Write(Path.Combine(folder, TokenizerConfig.FileName), stream => WriteJson(stream, json => WriteConfig(json, model)));
        AtomicFile.Write(Path.Combine(folder, "tokenizer.json"), stream => WriteJson(stream, json => WriteTokenizer(json, model)));
    }

    /// <summary>GPT-2's own form, which has no place for what SentencePiece does.</summary>
    private static void WriteTwoFiles(TokenizerModel model, string folder)
    {
        AtomicFile.Write(Path.Combine(folder, "vocab.json"), stream => WriteJson(stream, json => WriteVocabulary(json, model)));
        AtomicFile.Write(Path.Combine(folder, "merges.txt"), stream => stream.Write(Encoding.UTF8.GetBytes(MergeLines(model))));
    }

    /// <summary>What decides the ids of every text and the roles of special tokens: the bytes that a tokenizer's hash is taken of.</summary>
    public static byte[] Canonical(TokenizerModel model)
    {
        using var stream = new MemoryStream();
        WriteJson(stream, json => WriteTokenizer(json, model));
        WriteJson(stream, json => WriteConfig(json, model with { ChatTemplate = null }));
        return stream.ToArray();
    }

    private static void WriteJson(Stream stream, Action<Utf8JsonWriter> write)
    {
        using var json = new Utf8JsonWriter(stream, Indented);
        write(json);
    }

    private static void WriteTokenizer(Utf8JsonWriter json, TokenizerModel model)
    {
        json.WriteStartObject();
        json.WriteString("version", "1.0");
        json.WriteNull("truncation");
        json.WriteNull("padding");
        json.WriteStartArray("added_tokens");
        foreach (var token in model.Added)
            WriteAdded(json, token, withId: true);
        json.WriteEndArray();
        if (model.Fallback is null)
            WriteByteLevelPipeline(json);
        else
            SentencePieceJson.WritePipeline(json, model.Special);
        WriteModel(json, model);
        json.WriteEndObject();
    }

    private static void WriteByteLevelPipeline(Utf8JsonWriter json)
    {
        json.WriteNull("normalizer");
        WriteByteLevel(json, "pre_tokenizer");
        json.WriteNull("post_processor");
        WriteByteLevel(json, "decoder");
    }

    private static void WriteByteLevel(Utf8JsonWriter json, string key)
    {
        json.WriteStartObject(key);
        json.WriteString("type", "ByteLevel");
        json.WriteBoolean("add_prefix_space", false);
        json.WriteBoolean("trim_offsets", true);
        json.WriteBoolean("use_regex", true);
        json.WriteEndObject();
    }

    private static void WriteModel(Utf8JsonWriter json, TokenizerModel model)
    {
        json.WriteStartObject("model");
        json.WriteString("type", "BPE");
        json.WriteNull("dropout");
        json.WriteString("unk_token", model.Fallback is null ? null : model.Special.Spelling(model.Special.Unk));
        foreach (string key in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            json.WriteNull(key);
        foreach (string key in (string[])["fuse_unk", "byte_fallback"])
            json.WriteBoolean(key, model.Fallback is not null);
        json.WriteBoolean("ignore_merges", false);
        json.WritePropertyName("vocab");
        WriteVocabulary(json, model);
        json.WriteStartArray("merges");
        foreach (var merge in model.Merges)
            json.WriteStringValue(Line(model, merge));
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteVocabulary(Utf8JsonWriter json, TokenizerModel model)
    {
        var added = model.Added.ToDictionary(t => t.Id, t => t.Content);
        json.WriteStartObject();
        for (int id = 0; id < model.Tokens.Length; id++)
            if (added.TryGetValue(id, out string? content) || model.Tokens[id].Length > 0)
                json.WriteNumber(content ?? model.Spell(id), id);
        json.WriteEndObject();
    }

    private static string MergeLines(TokenizerModel model)
    {
        var lines = new StringBuilder("#version: 0.2\n");
        foreach (var merge in model.Merges)
            lines.Append(Line(model, merge)).Append('\n');
        return lines.ToString();
    }

    private static string Line(TokenizerModel model, Merge merge)
        => $"{model.Spell(merge.Left)} {model.Spell(merge.Right)}";

    private static void WriteConfig(Utf8JsonWriter json, TokenizerModel model)
    {
        json.WriteStartObject();
        json.WriteString("tokenizer_class", model.ClassName);
        if (model.Fallback is null)
            json.WriteBoolean("add_prefix_space", false);
        else
            json.WriteBoolean("add_bos_token", model.Special.AddsBos);
        json.WriteBoolean("clean_up_tokenization_spaces", false);
        json.WriteStartObject("added_tokens_decoder");
        foreach (var token in model.Added)
        {
            json.WritePropertyName($"{token.Id}");
            WriteAdded(json, token, withId: false);
        }
        json.WriteEndObject();
        WriteRoles(json, model.Special);
        if (model.ChatTemplate is not null)
            json.WriteString("chat_template", model.ChatTemplate);
        json.WriteEndObject();
    }

    private static void WriteRoles(Utf8JsonWriter json, SpecialTokens special)
    {
        (string Key, int? Id)[] roles = [("bos_token", special.Bos), ("eos_token", special.Eos), ("pad_token", special.Pad), ("unk_token", special.Unk), ("mask_token", special.Mask)];
        foreach (var (key, id) in roles)
            if (special.Spelling(id) is { } spelling)
                json.WriteString(key, spelling);
        json.WriteStartArray("additional_special_tokens");
        foreach (var (spelling, _) in special.Ids.Where(pair => roles.All(role => role.Id != pair.Value)).OrderBy(pair => pair.Value))
            json.WriteStringValue(spelling);
        json.WriteEndArray();
    }

    private static void WriteAdded(Utf8JsonWriter json, AddedToken token, bool withId)
    {
        json.WriteStartObject();
        if (withId)
            json.WriteNumber("id", token.Id);
        json.WriteString("content", token.Content);
        foreach (string flag in (string[])["single_word", "lstrip", "rstrip", "normalized"])
            json.WriteBoolean(flag, flag == "lstrip" && token.TakesBlanks);
        json.WriteBoolean("special", token.Special);
        json.WriteEndObject();
    }
}
