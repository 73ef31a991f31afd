using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Graphs;

/// <summary>What the graph answers with a cache must be what the training graph computes without one, however the tokens arrive.</summary>
public sealed class GenerationGraphTests : IDisposable
{
    private readonly List<TensorBuffer> _owned = [];

    /// <summary>A few hundred float32 roundings of 6e-8 each, in another order than in the training graph.</summary>
    private const double Arithmetic = 2e-5;

    [Theory]
    [MemberData(nameof(RecordedModel.Names), MemberType = typeof(RecordedModel))]
    public void Prefill_OfRecordedBatch_EqualsPyTorch(string name)
    {
        using var recorded = new RecordedModel(name);
        using var all = new GenerationRun(TinyModel.Named(name), rows: 2, allLogits: true);
        using var last = new GenerationRun(TinyModel.Named(name), rows: 2);
        long[][] rows = [.. recorded.InputIds.Chunk(RecordedModel.Time)];
        int[] counts = [RecordedModel.Time, RecordedModel.Time];

        float[] logits = all.Run(0, rows, counts);

        Closeness.AssertClose(logits, recorded.Reference("logits"), Arithmetic, "all logits");
        int v = recorded.Config.VocabularySize;
        float[] ofLast = [.. logits[(11 * v)..(12 * v)], .. logits[(23 * v)..(24 * v)]];
        Closeness.AssertClose(last.Run(0, rows, counts), ofLast, 1e-6, "logits of the last tokens");
    }

    public static TheoryData<string, int> NamesAndSeeds
    {
        get
        {
            var data = new TheoryData<string, int>();
            foreach (string name in new[] { "gpt2-tiny", "llama-tiny", "qwen2-tiny", "llama-16" })
                for (int seed = 1; seed <= 4; seed++) data.Add(name, seed);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(NamesAndSeeds))]
    public void AnySplitOfAPrompt_GivesTheLogits_OfTheWhole(string name, int seed)
    {
        var model = TinyModel.Named(name);
        using var run = new GenerationRun(model, rows: 1);
        var random = new Random(seed);
        long[] tokens = Tokens(model, random, model.Config.MaxPositions);
        float[] whole = TrainingLogits.Of(model, tokens, new(1, tokens.Length));

        for (int start = 0; start < tokens.Length;)
        {
            int end = Math.Min(tokens.Length, start + random.Next(1, 7));
            float[] logits = run.Run(0, [tokens[start..end]], [end]);
            Closeness.AssertClose(logits, Row(model, whole, end - 1), Arithmetic, $"tokens {start} to {end}");
            start = end;
        }
    }

    [Theory]
    [MemberData(nameof(NamesAndSeeds))]
    public void RaggedBatch_PrefilledAndDecodedTogether_GivesTheLogitsOfEachAlone(string name, int seed)
    {
        var model = TinyModel.Named(name);
        using var run = new GenerationRun(model, rows: 5);
        var random = new Random(seed);
        long[][] sequences = [.. Enumerable.Range(0, 4).Select(_ => Tokens(model, random, 20))];
        int[] counts = [.. sequences.Select(_ => random.Next(1, 13))];
        float[][] alone = [.. sequences.Select(s => TrainingLogits.Of(model, s, new(1, s.Length)))];

        Check(run.Run(1, [.. sequences.Zip(counts, (s, c) => s[..c])], counts), "prefill");
        for (int step = 0; step < 7; step++)
        {
            long[][] next = [.. sequences.Zip(counts, (s, c) => s[c..(c + 1)])];
            counts = Array.ConvertAll(counts, c => c + 1);
            Check(run.Run(1, next, counts), $"step {step}");
        }

        void Check(float[] logits, string what)
        {
            int v = model.Config.VocabularySize;
            for (int row = 0; row < sequences.Length; row++)
                Closeness.AssertClose(logits.AsSpan(row * v, v), Row(model, alone[row], counts[row] - 1), Arithmetic, $"{what}, row {row}");
        }
    }

    [Theory]
    [MemberData(nameof(TinyModel.Names), MemberType = typeof(TinyModel))]
    public void PastThatGrows_InsteadOfASharedBuffer_GivesTheSame(string name)
    {
        var model = TinyModel.Named(name);
        using var session = new OrtSession(Google.Protobuf.MessageExtensions.ToByteArray(GenerationRun.Export(model)), new SessionSettings { Threads = 1 });
        long[] tokens = Tokens(model, new Random(1), 8);
        float[] whole = TrainingLogits.Of(model, tokens, new(1, 8));

        var feeds = Empty(model.Config);
        foreach (var past in feeds.Values) Own(past);
        foreach (var (start, end) in new[] { (0, 5), (5, 6), (6, 8) })
        {
            feeds[GenerationGraph.InputIds] = Own(TensorBuffer.Of(tokens.AsSpan(start, end - start), 1, end - start));
            feeds[GenerationGraph.AttentionMask] = Own(TensorBuffer.Of([.. Enumerable.Repeat(1L, end)], 1, end));
            var outputs = session.Run(feeds);
            Closeness.AssertClose(outputs[GenerationGraph.Logits].Span<float>(), Row(model, whole, end - 1), Arithmetic, $"tokens {start} to {end}");
            foreach (var output in outputs.Values) Own(output);
            foreach (string present in outputs.Keys.Where(k => k.StartsWith("present", StringComparison.Ordinal)))
                feeds[present.Replace("present", "past_key_values", StringComparison.Ordinal)] = outputs[present];
        }
    }

    [Theory]
    [MemberData(nameof(TinyModel.Names), MemberType = typeof(TinyModel))]
    public void Graph_OfOneConfiguration_IsTheSameBytes(string name)
    {
        var model = TinyModel.Named(name);
        Assert.Equal(OnnxFile.ToBytes(GenerationGraph.Create(model.Config)), OnnxFile.ToBytes(GenerationGraph.Create(model.Config)));
    }

    [Fact]
    public void Cache_ShrinksBy_HeadsOverKeyValueHeads()
    {
        var config = ModelConfig.Preset("llama-3-8b");
        var key = GenerationGraph.Create(config).Inputs.Single(i => i.Name == "past_key_values.31.key");
        Assert.Equal("[batch, 8, past, 128]", key.Shape.ToString());
        var full = GenerationGraph.Create(config with { KeyValueHeads = 32 }).Inputs.Single(i => i.Name == "past_key_values.31.key");
        Assert.Equal("[batch, 32, past, 128]", full.Shape.ToString());
    }

    [Fact]
    public void TiedTable_IsStoredOnce()
    {
        var model = TinyModel.Named("qwen2-tiny");
        var tables = GenerationRun.Export(model).Graph.Initializer.Where(t => t.Dims.Contains(model.Config.VocabularySize));
        Assert.Equal("model.embed_tokens.weight", Assert.Single(tables).Name);
    }

    [Theory]
    [MemberData(nameof(TinyModel.Names), MemberType = typeof(TinyModel))]
    public void HiddenStates_TimesTheTable_AreTheScores(string name)
    {
        var model = TinyModel.Named(name);
        using var session = new OrtSession(Google.Protobuf.MessageExtensions.ToByteArray(GenerationRun.Export(model)), new SessionSettings { Threads = 1 });
        var feeds = Empty(model.Config);
        foreach (var past in feeds.Values) Own(past);
        feeds[GenerationGraph.InputIds] = Own(TensorBuffer.Of([3L, 1L, 4L], 1, 3));
        feeds[GenerationGraph.AttentionMask] = Own(TensorBuffer.Of([1L, 1L, 1L], 1, 3));
        feeds[GenerationGraph.LogitsAt] = Own(TensorBuffer.Of([-3L, -1L], 2));
        var outputs = session.Run(feeds);
        foreach (var output in outputs.Values) Own(output);

        float[] hidden = outputs[GenerationGraph.HiddenStates].Span<float>().ToArray();
        float[] table = model.Weight(model.Config.Family == ModelFamily.Gpt2 ? "transformer.wte.weight" : model.Config.TiedEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight");
        int width = model.Config.Width;
        float[] expected = [.. new[] { 0, 2 }.SelectMany(token => table.Chunk(width).Select(row => row.Zip(hidden.Skip(token * width), (a, b) => a * b).Sum()))];
        Closeness.AssertClose(outputs[GenerationGraph.Logits].Span<float>(), expected, Arithmetic, "scores of the first and the last token");
    }

    public void Dispose() => _owned.ForEach(b => b.Dispose());

    private TensorBuffer Own(TensorBuffer buffer)
    {
        _owned.Add(buffer);
        return buffer;
    }

    private static Dictionary<string, TensorBuffer> Empty(ModelConfig config) => Enumerable.Range(0, config.Layers)
        .SelectMany(l => new[] { GenerationGraph.PastKey(l), GenerationGraph.PastValue(l) })
        .ToDictionary(n => n, _ => TensorBuffer.Zeros(ElementType.Float, 1, config.KeyValueHeads, 0, config.HeadSize));

    private static long[] Tokens(TinyModel model, Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => (long)random.Next(model.Config.VocabularySize))];

    private static float[] Row(TinyModel model, float[] logits, int position)
    {
        int v = model.Config.VocabularySize;
        return logits[(position * v)..((position + 1) * v)];
    }
}
