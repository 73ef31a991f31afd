using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Train;

/// <summary>Our side as a process of its own; its lines and its end are those of peers/train_gpt2.py.</summary>
internal sealed class TrainWorker(string folder, string? profilePrefix, bool offload, Moments moments, TimeProvider time)
{
    public int Run(int steps)
    {
        using var model = new TrainedModel(TrainJob.Read(folder) with { Moments = moments }, folder, profilePrefix, offload);
        Say(new WorkerLine { About = $"OnnxLlm, ONNX Runtime {OrtSession.RuntimeVersion}" });
        for (int step = 1; step <= steps; step++)
        {
            long begin = time.GetTimestamp();
            float loss = model.Step(step);
            Say(new WorkerLine { Step = step, Loss = loss, Milliseconds = time.GetElapsedTime(begin).TotalMilliseconds });
        }
        Say(new WorkerLine { Done = true, Profiles = profilePrefix is null ? null : model.EndProfiling() });
        Console.In.ReadToEnd();
        return 0;
    }

    private static void Say(WorkerLine line) => Console.WriteLine(line);
}
