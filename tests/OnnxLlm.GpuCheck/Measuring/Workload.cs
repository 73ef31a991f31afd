using OnnxLlm.Graphs.Models;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>What is timed: a model and its batch. The peer (torch_gpt2.py) knows the same two.</summary>
/// <param name="Steps">Timed steps of training.</param>
/// <param name="Tokens">Timed steps of decoding.</param>
internal sealed record Workload(ModelConfig Model, int Batch, int Time, int Steps, int Tokens)
{
    /// <summary>GPT-2 124M, its vocabulary padded to a multiple of 128 as everybody does.</summary>
    public static Workload Whole { get; } = new(ModelConfig.Preset("gpt2") with { VocabularySize = 50304 }, Batch: 32, Time: 1024, Steps: 30, Tokens: 200);

    /// <summary>Small enough for any processor, so that whatever measures can be tried anywhere.</summary>
    public static Workload Tiny { get; } = new(
        Whole.Model with { VocabularySize = 512, Width = 64, Layers = 2, Heads = 2, KeyValueHeads = 2, FeedForward = 256, MaxPositions = 256, BosTokenId = null, EosTokenId = null }, Batch: 2, Time: 128, Steps: 3, Tokens: 4);
}
