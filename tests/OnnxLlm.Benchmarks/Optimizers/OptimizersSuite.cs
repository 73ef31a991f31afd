using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Tools;

namespace OnnxLlm.Benchmarks.Optimizers;

internal sealed record OptimizersOptions(int Seconds, int Threads, string? Data, string? Report);

/// <summary>A small LLaMA of the quickstart's family: layers and width.</summary>
internal sealed record OptimizersSize(int Layers, int Width)
{
    public static IReadOnlyList<OptimizersSize> All { get; } = [new(2, 64), new(4, 128)];

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Layers} × {Width}");

    /// <summary>What changes in the quickstart's config. Each validation also corrects the plan of how many steps fit into the time.</summary>
    public IEnumerable<string> Changes => new (string Key, int Value)[]
    {
        ("model.num_hidden_layers", Layers), ("model.hidden_size", Width), ("model.num_attention_heads", Width / 32), ("model.num_key_value_heads", Width / 64),
        ("model.intermediate_size", Width * 8 / 3), ("model.max_position_embeddings", 128), ("evaluate_every", 50), ("evaluate_tokens", 16384), ("checkpoint_every", 0), ("log_every", 1),
    }.Select(c => string.Create(CultureInfo.InvariantCulture, $"{c.Key}={c.Value}"));
}

/// <summary>The real runner with a budget of wall clock, once with each optimizer, in turn, on real text. Everything but the optimizer is the same.</summary>
internal sealed class OptimizersSuite(OptimizersOptions options, TimeProvider time, TextWriter output)
{
    private static readonly string[] Optimizers = ["adamw", "muon"];

    /// <summary>Exit code 0: it compares, and has no goal to miss.</summary>
    public int Run()
    {
        using var folder = new TemporaryFolder("optimizers");
        string data = options.Data ?? SampleShards(folder.Path);
        var runs = (from size in OptimizersSize.All from optimizer in Optimizers select Measure(new OptimizerRun(size, optimizer, data, folder.Path, options))).ToList();
        return new Publication("optimizers", OptimizersReport.Section(runs, options, time.GetLocalNow()), runs.Max(run => run.OthersShare), []).To(output, options.Report);
    }

    private OptimizerOutcome Measure(OptimizerRun run)
    {
        var outcome = run.Measure(time);
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"  {run.Size}, {run.Optimizer}: validation loss {outcome.Loss:F4} ± {outcome.Error:F4} after {outcome.Steps} steps; others {outcome.OthersShare:P0}"));
        return outcome;
    }

    /// <summary>The quickstart's own data, made with its own commands.</summary>
    private string SampleShards(string folder)
    {
        string corpus = Path.Combine(folder, "sotu"), tokenizer = Path.Combine(folder, "tokenizer"), shards = Path.Combine(folder, "shards");
        Tool("corpus", "prepare", "--source", "sotu", "--out", corpus);
        Tool("tokenizer", "train", "--corpus", corpus, "--vocab", "4096", "--out", tokenizer);
        Tool("corpus", "tokenize", "--corpus", corpus, "--tokenizer", tokenizer, "--out", shards);
        return shards;
    }

    private void Tool(params string[] arguments)
    {
        using var errors = new StringWriter();
        if (ToolsProgram.Run(arguments, TextWriter.Null, errors) != ToolsProgram.Success) throw new BenchmarkException(errors.ToString().Trim());
        output.WriteLine($"  {arguments[0]} {arguments[1]}: done");
    }
}
