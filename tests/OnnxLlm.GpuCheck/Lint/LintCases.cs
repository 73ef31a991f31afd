using OnnxLlm.GpuCheck.Measuring;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.GpuCheck.Lint;

/// <summary>Every graph that is written for CUDA, at sizes at which the provider chooses the kernels that it would choose for a real model.</summary>
internal static class LintCases
{
    private static readonly ModelConfig Gpt2 = Workload.Whole.Model with { Layers = 2 };

    private static readonly ModelConfig Llama = new()
    {
        Family = ModelFamily.Llama,
        VocabularySize = 32000,
        MaxPositions = 1024,
        Width = 512,
        Layers = 2,
        Heads = 8,
        KeyValueHeads = 4,
        FeedForward = 1536,
    };

    private static readonly ModelConfig Qwen2 = Llama with { Family = ModelFamily.Qwen2, TiedEmbeddings = true };

    /// <param name="only">Parts of names; none for all.</param>
    public static IEnumerable<Finding> All(string[] only) =>
        Training().Concat(GenerationCases.All(Gpt2 with { VocabularySize = 5120, BosTokenId = null, EosTokenId = null }, Llama with { VocabularySize = 5120 }))
            .Where(c => only.Length == 0 || only.Any(part => c.Name.Contains(part, StringComparison.Ordinal)))
            .Select(c => c.Find());

    private static IEnumerable<(string Name, Func<Finding> Find)> Training()
    {
        foreach (var precision in Enum.GetValues<Precision>())
            foreach (var (name, config) in Models())
                foreach (var graph in Graphs($"{name} {precision}", config, new() { Precision = precision })) yield return graph;
        foreach (var kind in (ActivationCheckpointing[])[ActivationCheckpointing.Selective, ActivationCheckpointing.Block])
            foreach (var graph in Graphs($"gpt2 Bf16 {kind}", Gpt2, new() { Precision = Precision.Bf16, Checkpointing = kind }).Take(1)) yield return graph;
        foreach (var kind in Enum.GetValues<OptimizerKind>())
            foreach (var graph in Graphs($"{kind}", Llama, new(), new() { Kind = kind }).Skip(2)) yield return graph;
        yield return ("refused", () => GraphLint.Of("refused", OnlyOnTheCpu(), []));
        yield return ("activations", () => GraphLint.Of("activations", TrainingGraphs.ForTarget(ActivationGraph.Create(Gpt2, new(4, 1024)), GraphTarget.Cuda), []));
        yield return ("sampling", () => GraphLint.Of("sampling", TrainingGraphs.ForTarget(SamplingGraph.Create(Gpt2, 1024), GraphTarget.Cuda), []));
    }

    private static (string, ModelConfig)[] Models() => [("gpt2", Gpt2), ("llama", Llama), ("qwen2", Qwen2)];

    private static IEnumerable<(string, Func<Finding>)> Graphs(string name, ModelConfig config, StepSettings step, OptimizerSettings? optimizer = null)
    {
        var graphs = new Lazy<TrainingGraphs>(() => TrainingGraphs.Create(config, new(4, 1024), optimizer ?? new(), step with { Target = GraphTarget.Cuda }));
        yield return ($"{name} step", () => GraphLint.Of($"{name} step", graphs.Value.Step, graphs.Value.StepInPlace));
        yield return ($"{name} evaluation", () => GraphLint.Of($"{name} evaluation", graphs.Value.Evaluation, []));
        yield return ($"{name} optimizer", () => GraphLint.Of($"{name} optimizer", graphs.Value.Optimizer, graphs.Value.OptimizerInPlace));
    }

    /// <summary>Shows that a node which the provider lacks is found.</summary>
    private static Graph OnlyOnTheCpu()
    {
        var g = new GraphBuilder("refused");
        var x = g.Input("x", ElementType.Int64, [8]);
        g.Output("y", g.Emit("BitwiseNot", [x], x.Type, x.Shape));
        return g.Build();
    }
}
