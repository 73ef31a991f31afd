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

    /// <summary>Smaller vocabularies: a generation graph is a file with its weights.</summary>
    private static readonly ModelConfig[] Generating = [Gpt2 with { VocabularySize = 5120, BosTokenId = null, EosTokenId = null }, Llama with { VocabularySize = 5120 }, Qwen2 with { VocabularySize = 5120, KeyValueHeads = 2 }];

    /// <param name="only">Parts of names; none for all.</param>
    public static IEnumerable<Finding> All(string[] only) =>
        Training().Concat(Variants()).Concat(GenerationCases.All(Generating))
            .Where(c => only.Length == 0 || only.Any(part => c.Name.Contains(part, StringComparison.Ordinal)))
            .Select(c => c.Find());

    private static IEnumerable<(string Name, Func<Finding> Find)> Training()
    {
        foreach (var precision in Enum.GetValues<Precision>())
            foreach (var (name, config) in Models())
                foreach (var graph in Graphs($"{name} {precision}", Setup(config, precision))) yield return graph;
        foreach (var (name, config) in Models())
            foreach (var kind in (ActivationCheckpointing[])[ActivationCheckpointing.Selective, ActivationCheckpointing.Block])
                yield return Graphs($"{name} Bf16 {kind}", Setup(config, Precision.Bf16) with { Step = new() { Target = GraphTarget.Cuda, Precision = Precision.Bf16, Checkpointing = kind } }).First();
        foreach (var kind in Enum.GetValues<OptimizerKind>())
            foreach (var precision in (Precision[])[Precision.Fp32, Precision.Fp16])      // with a loss scale
                yield return Graphs($"{kind}{(precision == Precision.Fp16 ? " scaled" : "")}", Setup(Llama, precision) with { Optimizer = new() { Kind = kind } }).Last();
        yield return ("refused", () => GraphLint.Of("refused", OnlyOnTheCpu(), []));
        yield return ("activations", () => GraphLint.Of("activations", TrainingGraphs.ForTarget(ActivationGraph.Create(Gpt2, new(4, 1024)), GraphTarget.Cuda), []));
        yield return ("sampling", () => GraphLint.Of("sampling", TrainingGraphs.ForTarget(SamplingGraph.Create(Gpt2, 1024), GraphTarget.Cuda), []));
    }

    /// <summary>What a config may ask for besides: other sizes, above all those that cannot be cut into equal blocks of queries, frozen parameters, rates by layer.</summary>
    private static IEnumerable<(string Name, Func<Finding> Find)> Variants()
    {
        foreach (var (name, config, rows, time) in ((string, ModelConfig, int, int)[])[("llama", Llama, 1, 1024), ("gpt2", Gpt2, 4, 256), ("gpt2", Gpt2, 2, 1021), ("llama", Llama, 2, 1021)])
            yield return Graphs($"{name} {rows}x{time} Bf16", Setup(config, Precision.Bf16) with { Shape = new(rows, time) }).First();
        foreach (var (name, config) in Models()[..2])
            yield return Graphs($"{name} frozen Bf16", Setup(config, Precision.Bf16) with { Frozen = [FirstBlock(config)] }).First();
        yield return Graphs("rates by layer,", Setup(Llama, Precision.Fp32) with { Optimizer = new() { LayerDecay = 0.9f } }).Last();
    }

    private static string FirstBlock(ModelConfig config) => config.Family == ModelFamily.Gpt2 ? "transformer.h.0.*" : "model.layers.0.*";

    private static (string, ModelConfig)[] Models() => [("gpt2", Gpt2), ("llama", Llama), ("qwen2", Qwen2)];

    private static TrainingSetup Setup(ModelConfig config, Precision precision) =>
        new() { Model = config, Shape = new(4, 1024), Optimizer = new(), Step = new() { Target = GraphTarget.Cuda, Precision = precision } };

    /// <summary>Step, evaluation and optimizer.</summary>
    private static IEnumerable<(string, Func<Finding>)> Graphs(string name, TrainingSetup setup)
    {
        var graphs = new Lazy<TrainingGraphs>(() => TrainingGraphs.Create(setup));
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
