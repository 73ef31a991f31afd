using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Models;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>The same INT8 model in three runtimes, each in its own process, in turn: ours, ONNX Runtime GenAI on our package, llama.cpp on a GGUF of its shape.</summary>
internal sealed class PeersSuite(PeersOptions options, TimeProvider time, TextWriter output)
{
    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var temporary = new TemporaryFolder("peers");
        string folder = options.Models ?? temporary.Path, package = LargePackage.In(folder), gguf = LargePackage.GgufIn(folder);
        (string Runtime, string Model)[] sides = [(PeersWorker.Llama, gguf), (PeersWorker.GenAi, package), (PeersWorker.Own, package)];
        var machine = new QuietMachine(time, options.Threads, output);
        var runs = sides.ToDictionary(side => side.Runtime, _ => new List<WorkerRun>());
        for (int round = 0; round < options.Rounds; round++)
            foreach (var (runtime, model) in sides)
            {
                machine.Wait();
                runs[runtime].Add(Logged(runtime, Worker(runtime, model).Run()));
            }

        var result = new PeersResult(options, runs);
        return new Publication("peers", PeersReport.Section(result, MeasuredModel.Describe(package), time.GetLocalNow()), result.OthersShare, result.Goals).To(output, options.Report);
    }

    private WorkerProcess Worker(string runtime, string model) => WorkerProcess.Self(
        runtime, ["peers-worker", runtime, model, Text(options.Prompt), Text(options.Tokens), Text(options.Threads), .. PeersResult.Batches.Select(Text)]);

    private WorkerRun Logged(string runtime, WorkerRun run)
    {
        string rates = string.Join(", ", run.Steps.Select(step => string.Create(CultureInfo.InvariantCulture, $"{PeersResult.DecodeRate(step, options.Tokens):F0}")));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {runtime}: {rates} tokens/s, {run.PeakBytes / 1e6:F0} MB, others {run.OthersShare:P0}"));
        return run;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
