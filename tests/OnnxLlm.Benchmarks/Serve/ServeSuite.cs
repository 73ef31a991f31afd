using System.Globalization;
using OnnxLlm.Benchmarks.Decode;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Text;

namespace OnnxLlm.Benchmarks.Serve;

/// <summary>What the server costs on top of the model: answers streamed over HTTP against the bare loop, each side in its own process, in turn.</summary>
internal sealed class ServeSuite(AnswerOptions options, TimeProvider time, TextWriter output)
{
    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var folder = new TemporaryFolder("serve");
        string model = Path.TrimEndingDirectorySeparator(options.Model ?? QuantizedCopy.Write(RandomModel.Write(folder.Path), folder.Path));
        ServeResult result = Measure(model);
        string section = ServeReport.Section(result, options, MeasuredModel.Describe(model), time.GetLocalNow());
        return new Publication("serve", section, result.OthersShare, result.Goals).To(output, options.Report);
    }

    private ServeResult Measure(string model)
    {
        DecodeJob job = options.Job(model);
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
