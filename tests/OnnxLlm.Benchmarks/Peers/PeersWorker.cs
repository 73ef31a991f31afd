using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>One runtime as a process of its own: a line per batch.</summary>
internal sealed class PeersWorker(string runtime, string model, int prompt, int tokens, int threads, TimeProvider time)
{
    public const string Own = "OnnxLlm", GenAi = "ORT GenAI", Llama = "llama.cpp";

    private const int Seed = 1, WarmUpTokens = 8;

    public int Run(IReadOnlyList<int> batches)
    {
        Say(new WorkerLine { About = runtime });
        foreach (int batch in batches) Run(batch);
        Say(new WorkerLine { Done = true });
        Console.In.ReadToEnd();
        return 0;
    }

    private void Run(int batch)
    {
        using PeerLoop loop = Loop(batch);
        var random = new Random(Seed);
        loop.Answer([.. Enumerable.Range(0, batch).Select(_ => Prompt(random))], Math.Min(WarmUpTokens, tokens), time);
        var answer = loop.Answer([.. Enumerable.Range(0, batch).Select(_ => Prompt(random))], tokens, time);
        Say(new WorkerLine { Step = 1, Batch = batch, FirstMilliseconds = answer.FirstMilliseconds, Milliseconds = answer.RestMilliseconds });
    }

    private PeerLoop Loop(int batch) => runtime switch
    {
        Own => new OwnLoop(ModelPackage.Open(model), batch, prompt + tokens, threads),
        GenAi => new GenAiLoop(new GenAiModel(model)),
        Llama => new LlamaLoop(model, RandomModel.Large.VocabularySize, batch, prompt + tokens, threads),
        _ => throw new BenchmarkException($"There is no runtime '{runtime}' here."),
    };

    private int[] Prompt(Random random) => [.. Enumerable.Range(0, prompt).Select(_ => random.Next(RandomModel.Large.VocabularySize))];

    private static void Say(WorkerLine line) => Console.WriteLine(line);
}
