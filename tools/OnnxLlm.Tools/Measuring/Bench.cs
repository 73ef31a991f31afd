using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tools.Measuring;

/// <summary>Measures a package or a server and puts the arithmetic of its model beside the times.</summary>
internal sealed class Bench(BenchJob job, TimeProvider time)
{
    /// <summary>The package whose graph counts the arithmetic of a server's model; null: it is not counted.</summary>
    public string? Counted { get; init; }

    /// <summary>The name of a server's model; null: the first that it lists.</summary>
    public string? Model { get; init; }

    /// <summary>Token ids of a server's model; null: the server or <see cref="Counted"/> says.</summary>
    public int? Vocabulary { get; init; }

    /// <summary>API key of a server.</summary>
    public string? Key { get; init; }

    public BenchResult Run() => BenchedServer.AddressOf(job.Target) is { } address ? OfServer(address) : OfPackage();

    private BenchResult OfPackage()
    {
        ModelPackage package = ModelPackage.Open(job.Target);
        PackageFolder.RequireDecoder(package.Config, job.Target, "bench");
        return Result(PackageBench.Run(job, package, time), package.Config, Peak(), Machine.Current.ToString());
    }

    private BenchResult OfServer(Uri address)
    {
        ModelConfig? config = Counted is { } folder ? ModelConfig.Load(Path.Combine(folder, PackageManifest.ConfigFile)) : null;
        var server = BenchedServer.Find(address, Model, Vocabulary ?? config?.VocabularySize, Key);
        double? peak = job.PeakGflops ?? (config is not null && address.IsLoopback ? Peak() : null);
        return Result(new ServerBench(job, server, time).Run(), config, peak, address.IsLoopback ? Machine.Current.ToString() : null);
    }

    private double Peak() => job.PeakGflops ?? new ArithmeticRate(time, job.Threads > 0 ? job.Threads : Environment.ProcessorCount).Peak();

    private BenchResult Result(BenchRun run, ModelConfig? config, double? peak, string? machine)
    {
        double? operations = config is null ? null : Operations(config) * job.TimedAnswers;
        double? rate = operations / run.Seconds / 1e9;
        return new()
        {
            Target = job.Target,
            Model = run.Model,
            Measured = time.GetUtcNow(),
            Machine = machine,
            PromptTokens = job.PromptTokens,
            AnswerTokens = job.Tokens,
            Answers = job.TimedAnswers,
            Clients = job.Clients,
            Seconds = run.Seconds,
            TokensPerSecond = job.TimedAnswers * (double)job.Tokens / run.Seconds,
            TotalTokensPerSecond = job.TimedAnswers * (double)(job.PromptTokens + job.Tokens) / run.Seconds,
            FirstTokenMs = Percentiles.Of(run.Answers.Select(answer => answer.FirstMilliseconds))!,
            InterTokenMs = job.Tokens > 1 ? Percentiles.Of(run.Answers.Select(answer => answer.TokenMilliseconds)) : null,
            ArrivalGapMs = Percentiles.Of(run.Answers.SelectMany(answer => answer.Gaps)),
            Gflops = rate,
            PeakGflops = peak,
            Mfu = rate / peak,
        };
    }

    /// <summary>Of one answer: the prompt is read at once, then every token but the last.</summary>
    private double Operations(ModelConfig config)
    {
        Graph graph = GenerationGraph.Create(config);
        return FlopCount.Generating(graph, job.PromptTokens, 0) + Enumerable.Range(0, job.Tokens - 1).Sum(i => FlopCount.Generating(graph, 1, job.PromptTokens + i));
    }
}
