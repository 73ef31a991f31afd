using OnnxLlm.GpuCheck.Measuring;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.GpuCheck.Lint;

/// <summary>What a recording leaves that fails for want of memory.</summary>
/// <param name="OutOfMemory">It failed, and said so.</param>
/// <param name="Kept">Blocks of the device that it took and did not give back.</param>
internal sealed record FailedRecordingResult(bool OutOfMemory, long Kept);

/// <summary>A training step with less memory than its activations take. What the runtime keeps for itself it has taken at the first try, so the second is looked at.</summary>
internal static class FailedRecording
{
    private const long TooLittle = 1_000_000;

    public static FailedRecordingResult Run()
    {
        var work = Workload.Tiny;
        var graphs = TrainingGraphs.Create(work.Model, new(work.Batch, work.Time), new(), new StepSettings { Target = GraphTarget.Cuda });
        using var session = new OrtSession(OnnxFile.ToBytes(graphs.Step), new SessionSettings { Device = Device.Cuda(0), Capture = true, MemoryLimit = TooLittle });
        using var buffers = new BoundBuffers(session, graphs.StepInPlace.ToDictionary(pair => pair.Output, pair => pair.Input));
        Fails(buffers.Bound);
        CudaStub.Reset();
        return new(Fails(buffers.Bound), CudaStub.Kept);
    }

    private static bool Fails(BoundSession bound)
    {
        try
        {
            bound.Run();
            return false;
        }
        catch (ModelRuntimeException error)
        {
            return error.IsOutOfMemory;
        }
    }
}
