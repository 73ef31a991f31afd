using System.Globalization;
using System.Text.Json.Nodes;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using Xunit.Abstractions;

namespace OnnxLlm.Tests.OrtTraining;

/// <summary>Our engine on stock ONNX Runtime, and the genuine ORT Training runtime on the folder that we export for it, train the same numbers.</summary>
public sealed class OrtTrainingParityTests(ITestOutputHelper output)
{
    /// <summary>What the two may differ by, relatively: both sum in single precision, in different orders, for twenty steps.</summary>
    private const double Tolerance = 1e-4;

    /// <summary>Gradients that are zero but for rounding (those of key biases) must not move anything, so epsilon is far above rounding.</summary>
    private const float Epsilon = 1e-4f;

    /// <summary>A tiny model of each family, and the pattern of what is frozen in it; a family without one fails the test.</summary>
    private static readonly Dictionary<string, (JsonObject Model, string Frozen)> Families = new()
    {
        ["gpt2"] = (new() { ["model_type"] = "gpt2", ["vocab_size"] = 48, ["n_embd"] = 32, ["n_layer"] = 2, ["n_head"] = 4, ["n_positions"] = 16 }, "transformer.h.0.mlp.*"),
        ["llama"] = (Rotary("llama", tied: false), "model.embed_tokens.weight"),
        ["qwen2"] = (Rotary("qwen2", tied: true), "model.layers.1.self_attn.v_proj.*"),
    };

    private static readonly Dictionary<string, (OptimizerSettings Settings, float LearningRate)> Optimizers = new()
    {
        ["adamw"] = (new() { Kind = OptimizerKind.AdamW, WeightDecay = 0.1f, Decay = DecayedParameters.All, ClipNorm = 0.1f, Epsilon = Epsilon }, 0.01f),
        ["sgd"] = (new() { Kind = OptimizerKind.Sgd, WeightDecay = 0, ClipNorm = 0.5f }, 0.5f),
    };

    public static TheoryData<string, string> Cases
    {
        get
        {
            var cases = new TheoryData<string, string>();
            foreach (var family in Enum.GetValues<ModelFamily>().Where(family => family is not (ModelFamily.Bert or ModelFamily.T5)))    // whose export for that engine is refused
                foreach (var optimizer in Optimizers.Keys) cases.Add(ModelConfigJson.TypeOf(family), optimizer);
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void BothEngines_TrainTheSameNumbers(string family, string optimizer)
    {
        var (model, frozen) = Families[family];
        var (settings, learningRate) = Optimizers[optimizer];
        using var run = new ParityRun(ModelConfig.Parse(model, strict: true), settings, learningRate, frozen);

        var difference = run.Run();

        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"| {family} | {optimizer} | {run.Losses.First:0.0000} → {run.Losses.Last:0.0000} | {difference.Loss:0.0e0} | {difference.Norm:0.0e0} | {difference.Evaluation:0.0e0} | {difference.Parameter:0.0e0} ({difference.Worst}) |"));
        Assert.True(run.Losses.Last < run.Losses.First, $"It learned nothing: {run.Losses}.");
        Assert.True(run.SmallestNorm > settings.ClipNorm, "The norm was never clipped.");
        Assert.True(difference.Largest <= Tolerance, $"{difference}");
    }

    /// <summary>LLaMA and its later relatives, all of a shape.</summary>
    private static JsonObject Rotary(string family, bool tied) => new()
    {
        ["model_type"] = family,
        ["vocab_size"] = 48,
        ["hidden_size"] = 32,
        ["num_hidden_layers"] = 2,
        ["num_attention_heads"] = 4,
        ["num_key_value_heads"] = 2,
        ["intermediate_size"] = 48,
        ["max_position_embeddings"] = 16,
        ["tie_word_embeddings"] = tied,
    };
}
