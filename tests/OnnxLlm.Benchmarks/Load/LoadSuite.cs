using System.Globalization;
using OnnxLlm.Benchmarks.Decode;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Text;

namespace OnnxLlm.Benchmarks.Load;

/// <summary>What one package took to load and to answer.</summary>
internal sealed record LoadTimes(string Name, double Megabytes, Summary Load, Summary First, Summary Warm, double PeakBytes, double OthersShare)
{
    public static LoadTimes Of(string name, string folder, IReadOnlyList<WorkerRun> runs) => new(
        name, Directory.GetFiles(folder, "model.onnx*").Sum(f => new FileInfo(f).Length) / 1e6,
        Summary.Of(runs.Select(r => r.Steps.First().Milliseconds!.Value)), Summary.Of(runs.Select(r => r.Steps.First().FirstMilliseconds!.Value)),
        Summary.Of(runs.Select(r => r.Steps.Last().FirstMilliseconds!.Value)), Summary.Of(runs.Select(r => (double)r.PeakBytes)).Median, runs.Max(r => r.OthersShare));
}

/// <summary>From a package on the disk to the first token, float32 and INT8, each in processes of its own, in turn; and the first request to a server beside later ones.</summary>
internal sealed class LoadSuite(AnswerOptions options, TimeProvider time, TextWriter output)
{
    private const double MostLoadMilliseconds = 2000, MostFirstOverWarm = 5, MostFirstOverLater = 2;

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var folder = new TemporaryFolder("load");
        string model = options.Model ?? RandomModel.Write(folder.Path), quantized = QuantizedCopy.Write(model, folder.Path);
        IReadOnlyList<Round<WorkerRun>> rounds = Alternation.Run(
            options.Rounds, new QuietMachine(time, options.Threads, output), () => Load("float32", model), () => Load("INT8", quantized));
        LoadTimes[] times = [LoadTimes.Of("float32", model, [.. rounds.Select(r => r.Peer)]), LoadTimes.Of("INT8", quantized, [.. rounds.Select(r => r.Ours)])];
        using var another = new TemporaryFolder("load-server");
        string served = LargePackage.In(another.Path);
        ServerStart[] starts = Starts(served);
        Goal[] goals =
        [
            .. times.Select(t => Goal.Most($"load_{t.Name}_ms", t.Load.Median, MostLoadMilliseconds)),
            .. times.Select(t => Goal.Most($"load_{t.Name}_first_over_warm", t.First.Median / t.Warm.Median, MostFirstOverWarm)),
            Goal.Most("load_server_first_over_later", Median(starts, start => start.FirstMilliseconds / start.LaterMilliseconds), MostFirstOverLater),
        ];
        return new Publication("load", Section(times, starts, model, served, goals), OthersShare(times, starts), goals).To(output, options.Report);
    }

    /// <summary>The first start only has this program's own client compiled.</summary>
    private ServerStart[] Starts(string package)
    {
        int vocabulary = Tokenizer.Load(package).VocabularySize;
        return [.. Enumerable.Range(0, 1 + options.Rounds).Select(_ => ServerStart.Of(package, vocabulary, options.Threads, time)).Skip(1)];
    }

    private static double OthersShare(LoadTimes[] times, ServerStart[] starts) => Math.Max(times.Max(t => t.OthersShare), starts.Max(start => start.OthersShare));

    private WorkerRun Load(string name, string folder) =>
        WorkerProcess.Self(name, ["load-worker", folder, options.Threads.ToString(CultureInfo.InvariantCulture)]).Run();

    private string Section(LoadTimes[] times, ServerStart[] starts, string model, string served, Goal[] goals) => string.Create(CultureInfo.InvariantCulture, $"""
        ## From the disk to the first token

        {time.GetLocalNow():yyyy-MM-dd}. {Machine.Current}. {MeasuredModel.Describe(model)}
        A process opens the package (which includes checking the hash of every file), makes the session, and reads a prompt of {Prompts.Length} tokens at once; then, after {DecodeJob.WarmUp} more prompts, another one.
        Files are in the system's cache. Medians of {options.Rounds} processes, in turn; threads: {options.Threads}. Other programs took at most {OthersShare(times, starts):P1} of the machine during a run.

        | | model MB | load ms | first prompt to first token ms | the same, warm ms | peak resident MB |
        |---|---|---|---|---|---|
        {string.Join("\n", times.Select(Row))}

        The server, started as often, with {MeasuredModel.Describe(served)}
        Requests of {Prompts.Length} tokens by one client, streamed, with a prompt of its own each; medians, the ratio's too:

        | start to listening ms | first request to first token ms | the {ServerStart.Later} after it ms | **first / later** |
        |---|---|---|---|
        | {Median(starts, start => start.ListeningMilliseconds):F0} | {Median(starts, start => start.FirstMilliseconds):F1} | {Median(starts, start => start.LaterMilliseconds):F1} | **{Median(starts, start => start.FirstMilliseconds / start.LaterMilliseconds):F2}** |

        {string.Join("\n", goals.Select(goal => goal.ListItem))}
        """);

    private static double Median(ServerStart[] starts, Func<ServerStart, double> figure) => Summary.Of(starts.Select(figure)).Median;

    private static string Row(LoadTimes t) => string.Create(CultureInfo.InvariantCulture,
        $"| {t.Name} | {t.Megabytes:F1} | {t.Load.Median:F0} | {t.First.Median:F1} | {t.Warm.Median:F1} | {t.PeakBytes / 1e6:F0} |");
}
