using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Train;

namespace OnnxLlm.Benchmarks.Scaling;

/// <summary>Time per token and memory of a training step against the length of its sequences: attention alone may grow, and memory must be linear.</summary>
internal sealed class ScalingSuite(int steps, int rounds, int threads, string? report, TimeProvider time, TextWriter output)
{
    public const int WarmUp = 2;
    private const int TokensPerStep = 4096;
    private static readonly int[] Times = [256, 512, 1024, 2048, 4096];
    private double _others;

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var folder = new TemporaryFolder("scaling");
        var machine = new QuietMachine(time, threads, output);
        double[] peaks = [.. Times.Select(t => (double)Run(folder.Path, Size(t, 1), WarmUp + 1).PeakBytes)];
        List<WorkerRun>[] runs = [.. Times.Select(_ => new List<WorkerRun>())];
        for (int round = 0; round < rounds; round++)
            foreach (var (i, t) in Times.Index())
            {
                machine.Wait();
                runs[i].Add(Run(folder.Path, Size(t, TokensPerStep / t), steps));
            }
        var result = new ScalingResult([.. Times.Select((t, i) => new LengthCost(Size(t, TokensPerStep / t), Step(runs[i]), peaks[i]))], _others);
        return new Publication("scaling", Section(result), result.OthersShare, result.Goals).To(output, report);
    }

    private static TrainSize Size(int time, int batch) => new($"T{time}", 4, 256, 8, time, 4096, batch);

    private static Summary Step(List<WorkerRun> runs) => Summary.Of(runs.SelectMany(run => run.Steps.Skip(WarmUp)).Select(step => step.Milliseconds!.Value));

    private WorkerRun Run(string folder, TrainSize size, int count)
    {
        string place = Path.Combine(folder, $"{size.Name}-{size.Batch}");
        if (!Directory.Exists(place))
        {
            Directory.CreateDirectory(place);
            TrainJob job = TrainJob.Of(size, threads);
            job.Write(place);
            new TrainData(job).Write(place);
        }
        WorkerRun run = WorkerProcess.Self("ours", ["train-worker", place, count.ToString(CultureInfo.InvariantCulture)]).Run();
        if (count > WarmUp + 1) _others = Math.Max(_others, run.OthersShare);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  {size.Batch} x {size.Time}: {run.Steps.Min(step => step.Milliseconds):F0} ms a step, {run.PeakBytes / 1e6:F0} MB; others {run.OthersShare:P0}"));
        return run;
    }

    private string Section(ScalingResult result)
    {
        var (memory, perToken) = result.Line(l => l.PeakBytes);
        return string.Create(CultureInfo.InvariantCulture, $"""
            ## Cost against the length of sequences

            {time.GetLocalNow():yyyy-MM-dd}. {Machine.Current}. GPT-2, 4 layers, width 256, 8 heads, vocabulary 4096, float32, AdamW; a step of {TokensPerStep} tokens whatever their length, {steps} steps in
            each of {rounds} processes a length, in turn, the first {WarmUp} not timed, minima; threads: {threads}. Memory is the peak of a process with a single sequence. Growth by arithmetic counts the
            causal half of attention's square. Other programs took at most {result.OthersShare:P1} of the machine during a timed run.

            | T | sequences a step | step ms | µs per token | growth | growth of arithmetic | peak resident MB, one sequence |
            |---|---|---|---|---|---|---|
            {string.Join("\n", result.Lengths.Select(l => Row(result, l)))}

            Memory is {memory / 1e6:F0} MB and {perToken / 1e3:F1} KB for each token of a sequence.

            {string.Join("\n", result.Goals.Select(goal => goal.ListItem))}
            """);
    }

    private static string Row(ScalingResult result, LengthCost l) => string.Create(CultureInfo.InvariantCulture,
        $"| {l.Size.Time} | {l.Size.Batch} | {l.Step.Minimum:F0} | {l.MicrosecondsPerToken:F0} | {result.TimeGrowth(l):F2} | {result.FlopsGrowth(l):F2} | {l.PeakBytes / 1e6:F0} |");
}
