namespace OnnxLlm.Graphs.Models;

/// <summary>Published models by name. GPT-3 sizes: Brown et al. 2020, table 2.1, with heads and widths that divide (1.3B: 16 heads; 13B: 5120).</summary>
public static class ModelPresets
{
    private static readonly SortedDictionary<string, ModelConfig> Presets = new(StringComparer.Ordinal)
    {
        ["bert-base"] = Bert(layers: 12, width: 768, heads: 12),
        ["bert-large"] = Bert(24, 1024, 16),
        ["gpt2"] = Gpt2(layers: 12, width: 768, heads: 12),
        ["gpt2-medium"] = Gpt2(24, 1024, 16),
        ["gpt2-large"] = Gpt2(36, 1280, 20),
        ["gpt2-xl"] = Gpt2(48, 1600, 25),
        ["gpt3-125m"] = Gpt2(12, 768, 12, positions: 2048),
        ["gpt3-350m"] = Gpt2(24, 1024, 16, positions: 2048),
        ["gpt3-760m"] = Gpt2(24, 1536, 16, positions: 2048),
        ["gpt3-1.3b"] = Gpt2(24, 2048, 16, positions: 2048),
        ["gpt3-2.7b"] = Gpt2(32, 2560, 32, positions: 2048),
        ["gpt3-6.7b"] = Gpt2(32, 4096, 32, positions: 2048),
        ["gpt3-13b"] = Gpt2(40, 5120, 40, positions: 2048),
        ["gpt3-175b"] = Gpt2(96, 12288, 96, positions: 2048),
        ["llama-7b"] = Llama(layers: 32, width: 4096, heads: 32, keyValueHeads: 32, feedForward: 11008, positions: 2048),
        ["llama-13b"] = Llama(40, 5120, 40, 40, 13824, 2048),
        ["llama-2-7b"] = Llama(32, 4096, 32, 32, 11008, 4096),
        ["llama-3-8b"] = Llama(32, 4096, 32, 8, 14336, 8192) with
        {
            VocabularySize = 128_256,
            RopeTheta = 500_000,
            BosTokenId = 128_000,
            EosTokenId = 128_001,
        },
        ["t5-small"] = T5(layers: 6, width: 512, heads: 8, feedForward: 2048),
        ["t5-base"] = T5(12, 768, 12, 3072),
        ["t5-large"] = T5(24, 1024, 16, 4096),
        ["t5-v1.1-small"] = T5(8, 512, 6, 1024) with { GatedFeedForward = true, TiedEmbeddings = false },
        ["t5-v1.1-base"] = T5(12, 768, 12, 2048) with { GatedFeedForward = true, TiedEmbeddings = false },
        ["tinyllama-1.1b"] = Llama(22, 2048, 32, 4, 5632, 2048),
        ["qwen2-0.5b"] = Llama(24, 896, 14, 2, 4864, 131_072) with
        {
            Family = ModelFamily.Qwen2,
            VocabularySize = 151_936,
            NormEpsilon = 1e-6,
            RopeTheta = 1_000_000,
            TiedEmbeddings = true,
            BosTokenId = 151_643,
            EosTokenId = 151_643,
        },
    };

    public static IReadOnlyCollection<string> Names => Presets.Keys;

    internal static ModelConfig Find(string name) => Presets.TryGetValue(name, out var config)
        ? config
        : throw new GraphException($"There is no preset '{name}'.{NearestName.Hint(name, Presets.Keys)}");

    private static ModelConfig Gpt2(int layers, int width, int heads, int positions = 1024) => new()
    {
        Family = ModelFamily.Gpt2,
        VocabularySize = 50_257,
        Width = width,
        Layers = layers,
        Heads = heads,
        KeyValueHeads = heads,
        FeedForward = 4 * width,
        MaxPositions = positions,
        TiedEmbeddings = true,
        BosTokenId = 50_256,
        EosTokenId = 50_256,
    };

    private static ModelConfig Bert(int layers, int width, int heads) => new()
    {
        Family = ModelFamily.Bert,
        VocabularySize = 30_522,
        Width = width,
        Layers = layers,
        Heads = heads,
        KeyValueHeads = heads,
        FeedForward = 4 * width,
        MaxPositions = 512,
        TypeVocabularySize = 2,
        NormEpsilon = 1e-12,
        TiedEmbeddings = true,
        PadTokenId = 0,
    };

    /// <summary>Raffel et al. 2020; v1.1 has a gated feed-forward part and a head of its own (Shazeer 2020).</summary>
    private static ModelConfig T5(int layers, int width, int heads, int feedForward) => new()
    {
        Family = ModelFamily.T5,
        VocabularySize = 32_128,
        Width = width,
        Layers = layers,
        DecoderLayers = layers,
        Heads = heads,
        KeyValueHeads = heads,
        HeadSize = 64,
        FeedForward = feedForward,
        MaxPositions = 512,
        RelativeBuckets = 32,
        RelativeMaxDistance = 128,
        NormEpsilon = 1e-6,
        TiedEmbeddings = true,
        InitializerRange = 1,
        EosTokenId = 1,
        PadTokenId = 0,
        DecoderStartTokenId = 0,
    };

    private static ModelConfig Llama(int layers, int width, int heads, int keyValueHeads, int feedForward, int positions) => new()
    {
        Family = ModelFamily.Llama,
        VocabularySize = 32_000,
        Width = width,
        Layers = layers,
        Heads = heads,
        KeyValueHeads = keyValueHeads,
        FeedForward = feedForward,
        MaxPositions = positions,
        BosTokenId = 1,
        EosTokenId = 2,
    };
}
