using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>One runtime as a process of its own: a line per batch, in each turn.</summary>
internal sealed class PeersWorker(string runtime, string model, int prompt, int tokens, int threads, TimeProvider time) : IDisposable
{
    public const string Own = "OnnxLlm", GenAi = "ORT GenAI", Llama = "llama.cpp";

    private const int Seed = 1, WarmUpTokens = 8;

    private readonly Random _random = new(Seed);
    private PeerLoop? _loop;
    private int _batch;

    public int Run(IReadOnlyList<int> batches)
    {
        Say(new WorkerLine { About = runtime });
        return WorkerTurns.Take(() =>
        {
            foreach (int batch in batches) Run(batch);
        });
    }

    private void Run(int batch)
    {
        PeerLoop loop = Warm(batch);
        var answer = loop.Answer(Prompts(), tokens, time);
        Say(new WorkerLine { Step = 1, Batch = batch, FirstMilliseconds = answer.FirstMilliseconds, Milliseconds = answer.RestMilliseconds });
    }

    /// <summary>A loop for so many sequences that has given an answer before: the one at hand, or a new one.</summary>
    private PeerLoop Warm(int batch)
    {
        if (_loop is not null && _batch == batch) return _loop;
        _loop?.Dispose();
        (_loop, _batch) = (Loop(batch), batch);
        _loop.Answer(Prompts(), Math.Min(WarmUpTokens, tokens), time);
        return _loop;
    }

    public void Dispose() => _loop?.Dispose();

    private PeerLoop Loop(int batch) => runtime switch
    {
        Own => new OwnLoop(ModelPackage.Open(model), batch, prompt + tokens, threads),
        GenAi => new GenAiLoop(new GenAiModel(model)),
        Llama => new LlamaLoop(model, RandomModel.Large.VocabularySize, batch, prompt + tokens, threads),
        _ => throw new BenchmarkException($"There is no runtime '{runtime}' here."),
    };

    private int[][] Prompts() => [.. Enumerable.Range(0, _batch).Select(_ => Enumerable.Range(0, prompt).Select(_ => _random.Next(RandomModel.Large.VocabularySize)).ToArray())];

    private static void Say(WorkerLine line) => Console.WriteLine(line);
}
