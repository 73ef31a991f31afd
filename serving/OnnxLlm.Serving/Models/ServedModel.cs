using System.Collections.Immutable;
using System.Text.Json.Nodes;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Caching;
using OnnxLlm.Text;

namespace OnnxLlm.Serving.Models;

/// <summary>What the API says and needs to know about the loaded model.</summary>
internal sealed record ServedModel
{
    private ConstraintCache? _constraints;
    private TokenTexts? _texts;

    public required string Id { get; init; }

    /// <summary>Other names that requests may use.</summary>
    public ImmutableArray<string> Aliases { get; init; } = [];

    public required DateTimeOffset Created { get; init; }

    public required Tokenizer Tokenizer { get; init; }

    /// <summary>Remembers prompts; null where they are turned into tokens each time.</summary>
    public PromptTokens? Prompts { get; init; }

    /// <summary>Null for a base model.</summary>
    public IChatTemplate? Template { get; init; }

    /// <summary>What it does, in Hugging Face's words.</summary>
    public string Task { get; init; } = ModelTask.Generation;

    /// <summary>What a classifier gives texts, in the order of its scores; none of other models.</summary>
    public ImmutableArray<string> Labels { get; init; } = [];

    /// <summary>Positions of prompt and answer together.</summary>
    public required int Context { get; init; }

    /// <summary>Changes whenever weights, graph, tokenizer, template, runtime, kernels, provider or mode do.</summary>
    public required string Fingerprint { get; init; }

    public string Precision { get; init; } = "unknown";

    public string Provider { get; init; } = "CPUExecutionProvider";

    /// <summary>The GPU's name; null on a CPU.</summary>
    public string? Card { get; init; }

    /// <summary>How many times as fast as before quantization it was measured to answer on this provider, or this kind of GPU; null where that was not measured.</summary>
    public double? QuantizationSpeedup { get; init; }

    /// <summary>Null where the model does not say.</summary>
    public long? Parameters { get; init; }

    /// <summary>How the model was quantized and what that was measured to cost, as its manifest tells; null where it is not.</summary>
    public JsonObject? Quantization { get; init; }

    public string RuntimeVersion { get; init; } = "unknown";

    /// <summary>What answers of this model must look like, compiled.</summary>
    public ConstraintCache Constraints => LazyInitializer.EnsureInitialized(ref _constraints, () => new ConstraintCache(Tokenizer));

    /// <summary>The tokens as answers show them one by one.</summary>
    public TokenTexts Texts => LazyInitializer.EnsureInitialized(ref _texts, () => new TokenTexts(Tokenizer));

    public int VocabularySize => Tokenizer.VocabularySize;

    /// <summary>What an encoder may tell of a place: a token, or a label.</summary>
    public int Scores => Labels.IsEmpty ? VocabularySize : Labels.Length;

    /// <summary>The token that ends a document.</summary>
    public required int? EosToken { get; init; }

    /// <summary>What an empty prompt stands for: the end of a document is the beginning of the next.</summary>
    public int? BeginToken => Tokenizer.Special.Bos ?? EosToken;

    /// <summary>Tokens that end an answer.</summary>
    public ImmutableArray<int> EndTokens => [.. EosToken is { } eos ? [eos] : ImmutableArray<int>.Empty, .. Template?.EndTokens ?? []];

    /// <summary>The tokens of a prompt.</summary>
    public ImmutableArray<int> Encode(string text) => Prompts?.Of(text) ?? [.. Tokenizer.EncodePrompt(text)];

    public bool IsCalled(string name) => name == Id || Aliases.Contains(name);
}
