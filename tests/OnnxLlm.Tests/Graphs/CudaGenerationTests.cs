using System.Runtime.InteropServices;
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
    public static TheoryData<string, bool, ElementType, ElementType, double> Cases => new()
    {
        // The same operators on the same numbers; what is added up in another order differs by a few hundred roundings of 6e-8.
        { "gpt2-tiny", false, ElementType.Float, ElementType.Float, 2e-5 },
        { "llama-tiny", false, ElementType.Float, ElementType.Float, 2e-5 },
        { "qwen2-tiny", false, ElementType.Float, ElementType.Float, 2e-5 },
        { "llama-16", false, ElementType.Float, ElementType.Float, 2e-5 },
        { "gpt2-tiny", true, ElementType.Float, ElementType.Float, 2e-5 },
        { "llama-16", true, ElementType.Float, ElementType.Float, 2e-5 },

        // Float16 is off by 2^-12 of a value at each rounding; some sixty follow each other in two layers.
        { "gpt2-tiny", false, ElementType.Float, ElementType.Float16, 0.015 },
        { "llama-16", false, ElementType.Float, ElementType.Float16, 0.015 },

        // A product of 8-bit weights rounds its operand to a byte as well, 1/254 of the largest of a block, and some fourteen follow each other.
        { "gpt2-tiny", true, ElementType.Float, ElementType.Float16, 14.0 / 254 },
        { "llama-16", true, ElementType.Float, ElementType.Float16, 14.0 / 254 },

        // The same bytes, but where another order of a sum makes one the next: 1/127 of the largest of a channel, in two layers of keys and values.
        { "gpt2-tiny", true, ElementType.Int8, ElementType.Float, 4.0 / 127 },
        { "llama-16", false, ElementType.Int8, ElementType.Float, 4.0 / 127 },
        { "llama-16", true, ElementType.Int8, ElementType.Float, 4.0 / 127 },
        { "llama-64", false, ElementType.Int8, ElementType.Float, 4.0 / 127 },
        { "llama-64", true, ElementType.Int8, ElementType.Float, 4.0 / 127 },

        // The original keeps 8 bits of each key and value, the other all: 2^-9 of a number, in two layers of keys and values; a score is a sum over both, so it moves twice as much.
        // Products of 8-bit weights round what moved to other bytes.
        { "gpt2-tiny", false, ElementType.BFloat16, ElementType.Float, 8.0 / 512 },
        { "llama-16", false, ElementType.BFloat16, ElementType.Float, 8.0 / 512 },
        { "llama-16", true, ElementType.BFloat16, ElementType.Float, 14.0 / 254 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Scores_AreThoseOfTheGraphThatTheyWereMadeFrom(string name, bool int8Weights, ElementType cache, ElementType type, double tolerance)
    {
        var config = TinyModel.Named(name).Config;
        var model = Model(TinyModel.Named(name), int8Weights, cache);
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
                var (scores, best) = rewritten.DecodeRecorded(tokens, pasts);
                Closeness.AssertClose(scores, original.Decode(tokens, pasts), tolerance, $"token {step}");
                Assert.Equal(scores.Chunk(config.VocabularySize).Select(row => Array.IndexOf(row, row.Max())), best);
            }
        }
    }

    /// <summary>A model that scores a token exactly as it scores its likeliest chooses the lower of the two, one whose scores are no numbers none; the rows beside it know nothing of that.</summary>
    [Fact]
    public void Best_OfEqualScores_IsTheLower_AndOfNoNumbersNone()
    {
        var tiny = TinyModel.Named("llama-16");
        var model = Model(tiny, int8Weights: false, ElementType.Float);
        int best = Decode(2, 2)[0];
        Assert.NotEqual(0, best);
        Assert.Equal(best, Decode(2, 2)[1]);
        int width = tiny.Config.Width;
        Change("lm_head.weight", head => head[(best * width)..((best + 1) * width)].CopyTo(head));
        Assert.Equal([0, 0], Decode(2, 2));
        Change("model.embed_tokens.weight", table => table[3 * width] = float.NaN);
        Assert.Equal([0, -1], Decode(2, 3));

        int[] Decode(params int[] tokens)
        {
            using var sessions = new Sessions(tiny.Config, CudaGeneration.ForPrompts(model, ElementType.Float), CudaGeneration.ForTokens(model, ElementType.Float, Length));
            return sessions.DecodeRecorded(tokens, new int[tokens.Length]).Best;
        }

        void Change(string name, SpanAction change)
        {
            var tensor = model.Graph.Initializer.Single(t => t.Name == name);
            byte[] bytes = tensor.RawData.ToByteArray();
            change(MemoryMarshal.Cast<byte, float>(bytes.AsSpan()));
            tensor.RawData = ByteString.CopyFrom(bytes);
        }
    }

    private delegate void SpanAction(Span<float> values);

    /// <summary>Four heads of 64 over each key/value head have a kernel on a GPU that reads bytes where they lie, if they have one scale. Channels that are turned into each other and have two could not be told apart.</summary>
    [Theory]
    [InlineData("llama-64", false, true)]
    [InlineData("llama-64", true, false)]
    [InlineData("llama-16", false, false)]
    public void Int8Cache_HasOneScale_WhereAKernelReadsIt(string name, bool unpaired, bool expected)
    {
        var tiny = TinyModel.Named(name);
        var model = Model(tiny, int8Weights: false, ElementType.Int8);
        if (unpaired)
            foreach (var scale in model.Graph.Initializer.Where(t => t.Name.EndsWith("key.scale", StringComparison.Ordinal)))
            {
                byte[] bytes = scale.RawData.ToByteArray();
                MemoryMarshal.Cast<byte, float>(bytes.AsSpan())[0] *= 2;
                scale.RawData = ByteString.CopyFrom(bytes);
            }
        foreach (var rewritten in (ModelProto[])[CudaGeneration.ForPrompts(model, ElementType.Float16), CudaGeneration.ForTokens(model, ElementType.Float16, Length)])
        {
            var attentions = rewritten.Graph.Node.Where(n => n.OpType == "GroupQueryAttention").ToList();
            Assert.Equal(expected ? tiny.Config.Layers : 0, attentions.Count);
            Assert.All(attentions, n => Assert.Equal(n.Input[^1], n.Input[^2]));
            Assert.Equal(attentions.Count > 0, rewritten.Graph.Initializer.Any(t => t.Name == attentions.FirstOrDefault()?.Input[^1] && t.DataType == (int)ElementType.Float));
        }
    }

    /// <summary>What is kept are the bytes that were kept before, but where another order of rounding makes one the next.</summary>
    [Fact]
    public void Int8Cache_OfOneScale_HoldsTheSameBytes()
    {
        var tiny = TinyModel.Named("llama-64");
        var model = Model(tiny, int8Weights: false, ElementType.Int8);
        sbyte[][] caches = [.. new[] { model, CudaGeneration.ForPrompts(model, ElementType.Float) }.Select(form =>
        {
            using var sessions = new Sessions(tiny.Config, form, CudaGeneration.ForTokens(model, ElementType.Float, Length));
            sessions.Prefill(0, Prompts[2]);
            return sessions.FirstKeys(Prompts[2].Length);
        })];
        Assert.Contains(caches[0], b => Math.Abs(b) > 60);
        Assert.All(caches[0].Zip(caches[1]), pair => Assert.InRange(pair.First - pair.Second, -1, 1));
        Assert.True(caches[0].Zip(caches[1]).Count(pair => pair.First != pair.Second) < caches[0].Length / 50);
    }

    /// <summary>What makes the graph for tokens one that can be recorded.</summary>
    [Theory]
    [InlineData("gpt2-tiny")]
    [InlineData("llama-16")]
    public void Tokens_DependOnNoExtent(string name)
    {
        var tokens = CudaGeneration.ForTokens(Model(TinyModel.Named(name), int8Weights: false, ElementType.Float), ElementType.Float16, Length);
        Assert.DoesNotContain(tokens.Graph.Node, n => n.OpType is "Shape" or "GatherND" or "ReduceSum" or "Max");
        Assert.Single(tokens.Graph.Node, n => n.OpType == "Sub");      // that which tells whether the highest score is finite
        Assert.All(tokens.Graph.Input.SelectMany(i => i.Type.TensorType.Shape.Dim), d => Assert.True(d.DimValue > 0 || d.DimParam == "batch"));
    }

    private static ModelProto Model(TinyModel tiny, bool int8Weights, ElementType cache)
    {
        var model = GenerationRun.Export(tiny);
        int[] text = [.. Enumerable.Range(0, tiny.Config.MaxPositions).Select(i => 7 * i % tiny.Config.VocabularySize)];
        var scales = cache == ElementType.Int8 ? CacheCalibration.Scales(model, tiny.Config, text, threads: 1) : null;
        if (int8Weights) model = WeightQuantizer.Quantize(model, new QuantizationSettings()).Model;
        return scales is not null ? CacheQuantizer.Quantize(model, scales) : cache == ElementType.BFloat16 ? CacheQuantizer.ToBFloat16(model) : model;
    }

    /// <summary>Two graphs over one cache, by ONNX Runtime's own kernels.</summary>
    private sealed class Sessions : IDisposable
    {
        private static readonly SessionSettings OnlyBodies = new() { Kernels = false, Threads = 1, Spinning = false };

        private readonly ModelConfig _config;
        private readonly OrtSession _prompts, _tokens;
        private readonly KeyValueCache _cache;
        private readonly TensorBuffer _logits;
        private readonly RecordedSteps _recorded;

        public Sessions(ModelConfig config, ModelProto prompts, ModelProto tokens)
        {
            _config = config;
            (_prompts, _tokens) = (new(prompts.ToByteArray(), OnlyBodies), new(tokens.ToByteArray(), OnlyBodies));
            _cache = new(config, Slots, Length, Device.Cpu, _prompts.Input(GenerationGraph.PastKey(0)).Type);
            _logits = TensorBuffer.Zeros(ElementType.Float, Slots, 1, config.VocabularySize);
            _recorded = new(_tokens, _cache, _logits, Device.Cpu, Slots);
        }

        public float[] Prefill(int slot, int[] tokens) => Run(_prompts, slot, [tokens], [tokens.Length], tokens.Length);

        public float[] Decode(int[] tokens, int[] pasts) => Run(_tokens, 0, [.. tokens.Select(t => (int[])[t])], [.. pasts.Select(p => p + 1)], pasts.Max() + 1);

        /// <summary>As the session does it on a GPU.</summary>
        public (float[] Scores, int[] Best) DecodeRecorded(int[] tokens, int[] pasts)
        {
            _recorded.Run(tokens, pasts);
            int[] best = new int[tokens.Length];
            _recorded.Best(best);
            return (_logits.Rows(0, tokens.Length).Span<float>().ToArray(), best);
        }

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

        /// <summary>The first positions of the first slot, in the first head of the first layer.</summary>
        public sbyte[] FirstKeys(int positions)
        {
            using var snapshot = _cache.Save(0, positions);
            return snapshot.Blocks[0].Span<sbyte>()[..(positions * _config.HeadSize)].ToArray();
        }

        public void Dispose()
        {
            _recorded.Dispose();
            _prompts.Dispose();
            _tokens.Dispose();
            _cache.Dispose();
            _logits.Dispose();
        }
    }
}
