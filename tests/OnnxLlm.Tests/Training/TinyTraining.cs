using System.Text.Json.Nodes;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Text;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Progress;

namespace OnnxLlm.Tests.Training;

/// <summary>A model that trains in milliseconds: LLaMA with 2 layers of width 32, 64 tokens, sequences of 16.</summary>
internal static class TinyTraining
{
    public const int Vocabulary = 64;
    public const int Time = 16;

    public static ModelConfig Model { get; } = ModelConfig.Parse(
        new JsonObject
        {
            ["model_type"] = "llama",
            ["vocab_size"] = Vocabulary,
            ["hidden_size"] = 32,
            ["num_hidden_layers"] = 2,
            ["num_attention_heads"] = 4,
            ["num_key_value_heads"] = 2,
            ["intermediate_size"] = 64,
            ["max_position_embeddings"] = Time,
            ["tie_word_embeddings"] = true,
        },
        strict: true);

    public static OnnxTrainingEngine Engine(int rows, OptimizerSettings? optimizer = null, long seed = 1)
    {
        var shape = new TrainingShape(rows, Time);
        var engine = new OnnxTrainingEngine(TrainingGraphs.Create(Model, shape, optimizer ?? new OptimizerSettings()), shape, new SessionSettings { Threads = 1 });
        engine.Tensors.Initialize(new Initializer(Model, seed));
        return engine;
    }

    /// <summary>Names and shapes of the trainable tensors.</summary>
    public static IReadOnlyList<ParameterInfo> Parameters { get; } = ModelParameters.Of(Model);

    /// <summary>A stream with something to learn: each token is a function of the one before, one time in five of chance.</summary>
    public static int[] Tokens(int count, int seed = 1)
    {
        var random = new Random(seed);
        var tokens = new int[count];
        for (var i = 1; i < count; i++) tokens[i] = random.Next(5) == 0 ? random.Next(Vocabulary) : (tokens[i - 1] * 5 + 3) % Vocabulary;
        return tokens;
    }

    public static TokenWindows Windows(int[] tokens) => new(tokens.Length, (offset, ids) => tokens.AsSpan((int)offset, ids.Length).CopyTo(ids), Time);

    /// <summary>Writes shards of such streams: 3000 tokens to train on, 600 to validate on.</summary>
    public static void WriteShards(string folder, int seed = 1)
    {
        using var writer = new ShardWriter(folder, new ShardSettings { VocabularySize = Vocabulary, Separator = 0, TokenizerHash = "tokenizer", CorpusHash = "corpus" });
        writer.Add(Split.Train, "a", Tokens(3000, seed));
        writer.Add(Split.Valid, "b", Tokens(600, seed + 1));
        writer.Finish();
    }

    /// <summary>All of one kind of tensor, parameter after parameter.</summary>
    public static float[] Flat(OnnxTrainingEngine engine, Func<ParameterInfo, string> name) =>
        [.. Parameters.SelectMany(p => engine.Tensors[name(p)].Span<float>().ToArray())];

    public static double Norm(IEnumerable<float> values) => Math.Sqrt(values.Sum(v => (double)v * v));
}

/// <summary>Shows nothing; tells a test of each step, while the training waits.</summary>
internal sealed class TestView(Action<StepReport> onStep) : IProgressView
{
    public List<string> Notes { get; } = [];

    public List<ValidationMetrics> Validations { get; } = [];

    public void Show(StartReport start, Action training) => training();

    public void Step(StepReport report) => onStep(report);

    public void Validated(ValidationMetrics result) => Validations.Add(result);

    public void Note(string line) => Notes.Add(line);
}
