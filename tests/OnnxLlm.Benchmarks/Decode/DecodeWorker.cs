using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Decode;

/// <summary>The bare loop as a process of its own: a line per answer.</summary>
internal sealed class DecodeWorker(DecodeJob job, TimeProvider time)
{
    private const int Seed = 1;

    public int Run(IReadOnlyList<int> batches)
    {
        ModelPackage package = ModelPackage.Open(job.Model);
        using var session = new GenerationSession(package, batches.Max(), package.Config.MaxPositions, new SessionSettings { Threads = job.Threads });
        Say(new WorkerLine { About = $"{package.Precision}, ONNX Runtime {OrtSession.RuntimeVersion}" });
        return WorkerTurns.Take(() =>
        {
            foreach (int batch in batches) Run(session, batch);
        });
    }

    private void Run(GenerationSession session, int batch)
    {
        var loop = new GreedyLoop(session, batch, time);
        var prompts = new Prompts(session.VocabularySize, Seed);
        for (int i = 0; i < DecodeJob.WarmUp; i++) loop.Run(prompts, job.Tokens);
        for (int i = 1; i <= job.Answers; i++)
        {
            AnswerTime answer = loop.Run(prompts, job.Tokens);
            Say(new WorkerLine { Step = i, Batch = batch, FirstMilliseconds = answer.FirstMilliseconds, Milliseconds = answer.RestMilliseconds });
        }
    }

    private static void Say(WorkerLine line) => Console.WriteLine(line);
}
