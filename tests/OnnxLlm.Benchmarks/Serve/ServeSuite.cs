using System.Globalization;
using OnnxLlm.Benchmarks.Decode;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Text;

namespace OnnxLlm.Benchmarks.Serve;

/// <param name="Model">Folder of the package; null: an INT8 one with random weights.</param>
/// <param name="Tokens">Tokens of an answer.</param>
/// <param name="Answers">Answers of a run that are timed.</param>
internal sealed record ServeOptions(string? Model, int Tokens, int Answers, int Rounds, int Threads, string? Report);

/// <summary>What the server costs on top of the model: answers streamed over HTTP against the bare loop, each side in its own process, in turn.</summary>
internal sealed class ServeSuite(ServeOptions options, TimeProvider time, TextWriter output)
{
    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("onnxllm-serve-");
        try
        {
            string model = Path.TrimEndingDirectorySeparator(options.Model ?? QuantizedCopy.Write(RandomModel.Write(folder.FullName), folder.FullName));
            ServeResult result = Measure(model);
            string section = ServeReport.Section(result, options, MeasuredModel.Describe(model), time.GetLocalNow());
            return new Publication("serve", section, result.OthersShare, result.Goals).To(output, options.Report);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private ServeResult Measure(string model)
    {
        var job = new DecodeJob(model, options.Threads, options.Tokens, options.Answers);
        job.Check();
        var machine = new QuietMachine(time, options.Threads, output);
        int vocabulary = Tokenizer.Load(model).VocabularySize, round = 0;
        return new(Alternation.Run(
            options.Rounds, machine,
            () => Logged("bare loop", Bare(job)),
            () => Logged("server", new ServeLoad(options, model, vocabulary, round++, time).Run())));
    }

    private static ServeRun Bare(DecodeJob job)
    {
        WorkerRun run = job.Worker("bare loop", 1).Run();
        return new(job.Answered(run, batch: 1), [], run.PeakBytes, run.OthersShare);
    }

    private ServeRun Logged(string name, ServeRun run)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  {name}: {run.StreamRate:F0} tokens/s after the first, which took {run.First.Median:F1} ms; others {run.OthersShare:P0}"));
        return run;
    }
}
