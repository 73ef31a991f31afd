using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Decode;

/// <summary>Work for one run of the bare loop.</summary>
/// <param name="Model">Folder of the package.</param>
/// <param name="Threads">Threads inside one operator.</param>
/// <param name="Tokens">Tokens of an answer.</param>
/// <param name="Answers">Answers that are timed, for each batch.</param>
internal sealed record DecodeJob(string Model, int Threads, int Tokens, int Answers)
{
    /// <summary>Answers before those that are timed: allocation, thread pools, just-in-time compilation.</summary>
    public const int WarmUp = 10;

    /// <summary>Refuses what is no package, or too small for the answers.</summary>
    public DecodeJob Checked()
    {
        int most = ModelPackage.Open(Model).Config.MaxPositions - Prompts.Length;
        return Tokens <= most
            ? this
            : throw new BenchmarkException($"{Model} has room for {most} tokens behind a prompt of {Prompts.Length}; --tokens asks for {Tokens}.");
    }

    /// <summary>The loop as a process of its own.</summary>
    /// <param name="batches">Sequences at a time; each number has its own answers.</param>
    public WorkerProcess Worker(string name, params IEnumerable<int> batches) => WorkerProcess.Self(
        name, ["decode-worker", Model, Text(Threads), Text(Tokens), Text(Answers), .. batches.Select(Text)]);

    /// <summary>What a worker has measured for a batch.</summary>
    public IReadOnlyList<AnswerTime> Answered(WorkerRun run, int batch) =>
        [.. run.Steps.Where(line => line.Batch == batch).Select(line => new AnswerTime(line.FirstMilliseconds!.Value, line.Milliseconds!.Value, Tokens))];

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
