using System.Collections.Immutable;
using System.Runtime.InteropServices;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Tests.Support;

/// <summary>A configuration with weights: a recorded model, or a random one of a shape that none of those has.</summary>
internal sealed record TinyModel(ModelConfig Config, Func<string, float[]> Weight)
{
    public static TheoryData<string> Names => ["gpt2-tiny", "llama-tiny", "qwen2-tiny", "llama-16"];

    /// <summary>"llama-16" has heads of 16 elements, for which the runtime's attention rotates by itself; "llama-64" has heads of 64, four over each of two key/value heads.</summary>
    public static TinyModel Named(string name)
    {
        if (name == "llama-16") return Random(Load("llama-tiny") with { Width = 64, FeedForward = 96 }, seed: 1);
        if (name == "llama-64") return Random(Load("llama-tiny") with { Width = 512, Heads = 8, KeyValueHeads = 2, FeedForward = 96 }, seed: 1);
        using var recorded = new RecordedModel(name);
        var weights = recorded.Parameters.ToDictionary(p => p.Name, p => recorded.Weight(p.Name));
        return new(recorded.Config, n => weights[n]);
    }

    /// <summary>Weights large enough that attention is far from uniform and every part shows in the logits.</summary>
    public static TinyModel Random(ModelConfig config, long seed)
    {
        var initializer = new Initializer(config with { InitializerRange = 0.2 }, seed);
        var weights = ModelParameters.Of(config).ToDictionary(p => p.Name, p =>
        {
            float[] values = new float[p.Count];
            initializer.Fill(p, values);
            return values;
        });
        return new(config, n => weights[n]);
    }

    /// <summary>An encoder, whose gains and biases are random too: fresh ones would hide where a bias goes. With labels it is a classifier.</summary>
    public static TinyModel Bert(int vocabulary = 61, int positions = 24, params ImmutableArray<string> labels)
    {
        var config = ModelConfig.Preset("bert-base") with { VocabularySize = vocabulary, Width = 32, Layers = 2, Heads = 4, KeyValueHeads = 4, FeedForward = 48, MaxPositions = positions, Labels = labels };
        var model = Random(config, seed: 4);
        return model with { Weight = name => name.EndsWith(".bias", StringComparison.Ordinal) || name.EndsWith("LayerNorm.weight", StringComparison.Ordinal) ? Shaken(name, model.Weight(name)) : model.Weight(name) };
    }

    /// <summary>An encoder-decoder whose sides differ in depth and whose heads together are not as wide as the residual stream; gains are random too.</summary>
    public static TinyModel T5(bool gated = false, bool tied = true, int vocabulary = 61, int positions = 24)
    {
        var config = ModelConfig.Preset("t5-small") with
        {
            VocabularySize = vocabulary,
            Width = 32,
            Layers = 2,
            DecoderLayers = 3,
            Heads = 4,
            KeyValueHeads = 4,
            HeadSize = 6,
            FeedForward = 48,
            MaxPositions = positions,
            RelativeBuckets = 8,
            RelativeMaxDistance = 9,
            GatedFeedForward = gated,
            TiedEmbeddings = tied,
        };
        var initializer = new Initializer(config, seed: 5);
        var weights = ModelParameters.Of(config).ToDictionary(p => p.Name, p =>
        {
            float[] values = new float[p.Count];
            initializer.Fill(p, values);
            return p.Shape.Length == 1 ? Shaken(p.Name, values) : values;
        });
        return new(config, n => weights[n]);
    }

    private static float[] Shaken(string name, float[] values)
    {
        var random = new Random(name.Sum(c => c));
        return [.. values.Select(value => value + 0.4f * (random.NextSingle() - 0.5f))];
    }

    /// <summary>The weights as the exporter takes them.</summary>
    public TensorData Source(string name)
    {
        var shape = ModelParameters.Of(Config).Single(p => p.Name == name).Shape;
        return new(ElementType.Float, TensorShape.Of(shape), MemoryMarshal.AsBytes(Weight(name).AsSpan()).ToArray());
    }

    private static ModelConfig Load(string name)
    {
        using var recorded = new RecordedModel(name);
        return recorded.Config;
    }
}
