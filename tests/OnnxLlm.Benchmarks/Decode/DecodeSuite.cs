using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Models;

namespace OnnxLlm.Benchmarks.Decode;

/// <summary>What quantization does for speed: the same loop over the same model, as floats and as INT8, each in its own process, in turn.</summary>
internal sealed class DecodeSuite(AnswerOptions options, TimeProvider time, TextWriter output)
{
    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var folder = new TemporaryFolder("decode");
        string source = options.Model ?? RandomModel.Write(folder.Path);
        DecodeResult result = Measure(options.Job(source), options.Job(QuantizedCopy.Write(source, folder.Path)));
        string section = DecodeReport.Section(result, options, MeasuredModel.Describe(source), time.GetLocalNow());
        return new Publication("decode", section, result.OthersShare, result.Goals).To(output, options.Report);
    }

    private DecodeResult Measure(DecodeJob single, DecodeJob quantized)
    {
        var machine = new QuietMachine(time, options.Threads, output);
        return new(single, Alternation.Run(
            options.Rounds, machine,
            () => Logged(single, single.Worker("float32", DecodeResult.Batches)),
            () => Logged(quantized, quantized.Worker("INT8", DecodeResult.Batches))));
    }

    private WorkerRun Logged(DecodeJob job, WorkerProcess worker)
    {
        WorkerRun run = worker.Run();
        double rate = Summary.Of(job.Answered(run, 1).Select(answer => answer.StreamRate)).Median;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {worker.Name}: {rate:F0} tokens/s at batch 1, {run.PeakBytes / 1e6:F0} MB, others {run.OthersShare:P0}"));
        return run;
    }
}
