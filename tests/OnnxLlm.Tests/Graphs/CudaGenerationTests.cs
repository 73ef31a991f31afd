using Google.Protobuf;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Cuda;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.Tests.Graphs;

/// <summary>
/// The two generation graphs written for CUDA, one for prompts and one for single tokens of fixed extents, are plain ONNX too: their scores on the CPU must be
/// those of the graph that they were made from.
/// </summary>
public sealed class CudaGenerationTests
{
    private const int Length = 24, Slots = 3, Steps = 5;

    private static readonly int[][] Prompts = [[5, 3, 60, 7, 11, 2, 9], [1, 44, 8], [17, 17, 4, 25, 6, 33, 2, 0, 12, 51, 7]];

    /// <summary>Weights, cache, activations and what scores may be off, of the largest.</summary>
    public static TheoryData<string, bool, bool, ElementType, double> Cases => new()
    {
        // The same operators on the same numbers; what is added up in another order differs by a few hundred roundings of 6e-8.
        { "gpt2-tiny", false, false, ElementType.Float, 2e-5 },
        { "llama-tiny", false, false, ElementType.Float, 2e-5 },
        { "qwen2-tiny", false, false, ElementType.Float, 2e-5 },
        { "llama-16", false, false, ElementType.Float, 2e-5 },
        { "gpt2-tiny", true, false, ElementType.Float, 2e-5 },
        { "llama-16", true, false, ElementType.Float, 2e-5 },

        // Float16 is off by 2^-12 of a value at each rounding; some sixty follow each other in two layers.
        { "gpt2-tiny", false, false, ElementType.Float16, 0.015 },
        { "llama-16", false, false, ElementType.Float16, 0.015 },

        // A product of 8-bit weights rounds its operand to a byte as well, 1/254 of the largest of a block, and some fourteen follow each other.
        { "gpt2-tiny", true, false, ElementType.Float16, 14.0 / 254 },
        { "llama-16", true, false, ElementType.Float16, 14.0 / 254 },

        // The same bytes, but where another order of a sum makes one the next: 1/127 of the largest of a channel, in two layers of keys and values.
        { "gpt2-tiny", true, true, ElementType.Float, 4.0 / 127 },
        { "llama-16", false, true, ElementType.Float, 4.0 / 127 },
        { "llama-16", true, true, ElementType.Float, 4.0 / 127 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Scores_AreThoseOfTheGraphThatTheyWereMadeFrom(string name, bool int8Weights, bool int8Cache, ElementType type, double tolerance)
    {
        var config = TinyModel.Named(name).Config;
        var model = Model(TinyModel.Named(name), int8Weights, int8Cache);
        var original = new Sessions(config, model, model);
        var rewritten = new Sessions(config, CudaGeneration.ForPrompts(model, type), CudaGeneration.ForTokens(model, type, Length));
        using (original)
        using (rewritten)
        {
            for (int slot = 0; slot < Slots; slot++)
                Closeness.AssertClose(rewritten.Prefill(slot, Prompts[slot]), original.Prefill(slot, Prompts[slot]), tolerance, $"prompt {slot}");
            for (int step = 0; step < Steps; step++)
            {
                int[] tokens = [step + 1, 2 * step + 5, 3 * step + 9], pasts = [.. Prompts.Select(p => p.Length + step)];
                Closeness.AssertClose(rewritten.Decode(tokens, pasts, Length), original.Decode(tokens, pasts, pasts.Max() + 1), tolerance, $"token {step}");
            }
        }
    }

    /// <summary>What makes the graph for tokens one that can be recorded.</summary>
    [Theory]
    [InlineData("gpt2-tiny")]
    [InlineData("llama-16")]
    public void Tokens_DependOnNoExtent(string name)
    {
        var tokens = CudaGeneration.ForTokens(Model(TinyModel.Named(name), int8Weights: false, int8Cache: false), ElementType.Float16, Length);
        Assert.DoesNotContain(tokens.Graph.Node, n => n.OpType is "Shape" or "GatherND");
        Assert.All(tokens.Graph.Input.SelectMany(i => i.Type.TensorType.Shape.Dim), d => Assert.True(d.DimValue > 0 || d.DimParam == "batch"));
    }

    private static ModelProto Model(TinyModel tiny, bool int8Weights, bool int8Cache)
    {
        var model = GenerationRun.Export(tiny);
        int[] text = [.. Enumerable.Range(0, tiny.Config.MaxPositions).Select(i => 7 * i % tiny.Config.VocabularySize)];
        var scales = int8Cache ? CacheCalibration.Scales(model, tiny.Config, text, threads: 1) : null;
        if (int8Weights) model = WeightQuantizer.Quantize(model, new QuantizationSettings()).Model;
        return scales is null ? model : CacheQuantizer.Quantize(model, scales);
    }

    /// <summary>Two graphs over one cache, by ONNX Runtime's own kernels.</summary>
    private sealed class Sessions : IDisposable
    {
        private static readonly SessionSettings OnlyBodies = new() { Kernels = false, Threads = 1, Spinning = false };

        private readonly ModelConfig _config;
        private readonly OrtSession _prompts, _tokens;
        private readonly KeyValueCache _cache;

        public Sessions(ModelConfig config, ModelProto prompts, ModelProto tokens)
        {
            _config = config;
            (_prompts, _tokens) = (new(prompts.ToByteArray(), OnlyBodies), new(tokens.ToByteArray(), OnlyBodies));
            _cache = new(config, Slots, Length, Device.Cpu, _prompts.Input(GenerationGraph.PastKey(0)).Type);
        }

        public float[] Prefill(int slot, int[] tokens) => Run(_prompts, slot, [tokens], [tokens.Length], tokens.Length);

        public float[] Decode(int[] tokens, int[] pasts, int total) => Run(_tokens, 0, [.. tokens.Select(t => (int[])[t])], [.. pasts.Select(p => p + 1)], total);

        private float[] Run(OrtSession session, int slot, int[][] tokens, int[] counts, int total)
        {
            using var ids = TensorBuffer.Of([.. tokens.SelectMany(t => t).Select(t => (long)t)], tokens.Length, tokens[0].Length);
            using var mask = TensorBuffer.Of([.. counts.SelectMany(c => Enumerable.Range(0, total).Select(i => i < c ? 1L : 0L))], counts.Length, total);
            using var logits = TensorBuffer.Zeros(ElementType.Float, tokens.Length, 1, _config.VocabularySize);
            using var bound = session.Bind();
            bound.Input(GenerationGraph.InputIds, ids).Input(GenerationGraph.AttentionMask, mask).Output(GenerationGraph.Logits, logits);
            _cache.Bind(bound, slot, tokens.Length);
            bound.Run();
            return logits.Span<float>().ToArray();
        }

        public void Dispose()
        {
            _prompts.Dispose();
            _tokens.Dispose();
            _cache.Dispose();
        }
    }
}
