using System.Collections.Immutable;
using Microsoft.Extensions.Caching.Memory;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Text;

namespace OnnxLlm.Serving.Caching;

/// <summary>Texts that were asked lately, as tokens: the same question is often asked again, with another seed or of another kind. Bounded by bytes; the least used go first.</summary>
internal sealed class PromptTokens(Tokenizer tokenizer, ServingMetrics metrics, long bytes = 16 << 20) : IDisposable
{
    private const int EntryBytes = 200;

    private readonly MemoryCache _known = new(new MemoryCacheOptions { SizeLimit = bytes });

    public ImmutableArray<int> Of(string text)
    {
        var isKnown = _known.TryGetValue(text, out ImmutableArray<int> tokens);
        (isKnown ? metrics.TokenizerHits : metrics.TokenizerMisses).Add(1);
        return isKnown ? tokens : Keep(text, [.. tokenizer.EncodePrompt(text)]);
    }

    public void Dispose() => _known.Dispose();

    private ImmutableArray<int> Keep(string text, ImmutableArray<int> tokens) =>
        _known.Set(text, tokens, new MemoryCacheEntryOptions { Size = EntryBytes + (sizeof(char) * (long)text.Length) + (sizeof(int) * (long)tokens.Length) });
}
