using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Cache;

/// <summary>What an 8-bit cache does for speed: two sessions of one model with INT8 weights, which differ in the cache alone, decode in turn.</summary>
internal sealed class CacheSuite(CacheJob job, TimeProvider time, TextWriter output)
{
    private const int Seed = 1;
    private static readonly int[] Batches = [1, 16];

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var folder = new TemporaryFolder("cache");
        string source = job.Model ?? RandomModel.Write(folder.Path, RandomModel.Large);
        int[] text = Text(ModelPackage.Open(source).Config.VocabularySize);
        using GenerationSession floats = Open(QuantizedCopy.Write(source, folder.Path, ElementType.Float), text), bytes = Open(QuantizedCopy.Write(source, folder.Path, ElementType.Int8, text), text);
        var machine = new QuietMachine(time, job.Threads, output);
        var processor = new ProcessorTime(time);
        TimeSpan before = Environment.CpuUsage.TotalTime;
        var rounds = Batches.ToDictionary(batch => batch, batch => Alternation.Run(job.Rounds, machine, () => Step(floats, batch), () => Step(bytes, batch)));
        double others = processor.OthersShare(Environment.CpuUsage.TotalTime - before);
        var goal = Goal.Most("cache_bytes_ratio", (double)bytes.BytesPerPosition / floats.BytesPerPosition, 0.25);
        return new Publication("cache", Section(MeasuredModel.Describe(source), rounds, floats, bytes, others), others, [goal]).To(output, job.Report);
    }

    private int[] Text(int vocabulary)
    {
        var random = new Random(Seed);
        return [.. Enumerable.Range(0, job.Past).Select(_ => random.Next(vocabulary))];
    }

    /// <summary>A session whose slots have all read the text; the copies lie where each slot's own would.</summary>
    private GenerationSession Open(string package, int[] text)
    {
        var session = new GenerationSession(ModelPackage.Open(package), Batches.Max(), job.Past + job.Steps, new SessionSettings { Threads = job.Threads });
        session.Prefill(0, text, 0);
        for (int slot = 1; slot < session.Slots; slot++) session.Move(0, slot);
        return session;
    }

    /// <summary>The mean step of a round; its tokens are written over those of the round before.</summary>
    private StepTime Step(GenerationSession session, int batch)
    {
        int[] tokens = new int[batch], pasts = new int[batch];
        Array.Fill(pasts, job.Past);
        TimeSpan processor = Environment.CpuUsage.TotalTime;
        long begin = time.GetTimestamp();
        for (int step = 0; step < job.Steps; step++)
        {
            session.Decode(tokens, pasts);
            for (int slot = 0; slot < batch; slot++) pasts[slot]++;
        }
        var mean = new StepTime(time.GetElapsedTime(begin).TotalMilliseconds / job.Steps, (Environment.CpuUsage.TotalTime - processor).TotalMilliseconds / job.Steps);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {session.BytesPerPosition} bytes a token, batch {batch}: {mean.Elapsed:F2} ms a step, {mean.Processor:F2} ms of processor time"));
        return mean;
    }

    private string Section(string model, Dictionary<int, IReadOnlyList<Round<StepTime>>> rounds, GenerationSession floats, GenerationSession bytes, double others) => string.Create(CultureInfo.InvariantCulture, $"""
        ## Decoding behind long texts, a cache of floats and of bytes

        {time.GetLocalNow():yyyy-MM-dd}. {Machine.Current}. {model} Weights INT8 on both sides. {job.Steps} tokens behind {job.Past}, {job.Rounds} rounds in turn; threads: {job.Threads}.
        Milliseconds of a step: median (least) of the rounds, as they passed and as the processor worked. Other programs took {others:P1} of the machine.

        | | {string.Join(" | ", Batches.Select(batch => $"batch {batch} | processor"))} | cache, bytes a token |
        |---|{string.Concat(Batches.Select(_ => "---|---|"))}---|
        | floats | {string.Join(" | ", Batches.Select(batch => Cell(rounds[batch].Select(r => r.Peer))))} | {floats.BytesPerPosition:N0} |
        | bytes | {string.Join(" | ", Batches.Select(batch => Cell(rounds[batch].Select(r => r.Ours))))} | {bytes.BytesPerPosition:N0} |
        """);

    private static string Cell(IEnumerable<StepTime> steps) => $"{Cell(steps.Select(step => step.Elapsed))} | {Cell(steps.Select(step => step.Processor))}";

    private static string Cell(IEnumerable<double> milliseconds)
    {
        var summary = Summary.Of(milliseconds);
        return string.Create(CultureInfo.InvariantCulture, $"{summary.Median:F2} ({summary.Minimum:F2})");
    }

    /// <summary>Milliseconds that passed, and that all threads together worked.</summary>
    private sealed record StepTime(double Elapsed, double Processor);
}
