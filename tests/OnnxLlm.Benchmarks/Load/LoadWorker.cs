using OnnxLlm.Benchmarks.Decode;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Load;

/// <summary>Loads a package in a process of its own and answers twice: once right after loading, once warm.</summary>
internal sealed class LoadWorker(string model, int threads, TimeProvider time)
{
    private const int Seed = 1;

    public int Run()
    {
        long begin = time.GetTimestamp();
        ModelPackage package = ModelPackage.Open(model);
        using var session = new GenerationSession(package, 1, package.Config.MaxPositions, new SessionSettings { Threads = threads });
        double loaded = time.GetElapsedTime(begin).TotalMilliseconds;
        var loop = new GreedyLoop(session, 1, time);
        var prompts = new Prompts(session.VocabularySize, Seed);
        Say(new WorkerLine { About = $"{package.Precision}, ONNX Runtime {OrtSession.RuntimeVersion}" });
        Say(new WorkerLine { Step = 1, Milliseconds = loaded, FirstMilliseconds = loop.Run(prompts, 2).FirstMilliseconds });
        for (int i = 0; i < DecodeJob.WarmUp; i++) loop.Run(prompts, 2);
        Say(new WorkerLine { Step = 2, FirstMilliseconds = loop.Run(prompts, 2).FirstMilliseconds });
        Say(new WorkerLine { Done = true });
        Console.In.ReadToEnd();
        return 0;
    }

    private static void Say(WorkerLine line) => Console.WriteLine(line);
}
