using OnnxLlm.GpuCheck.Measuring;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.GpuCheck.Lint;

/// <summary>What happened while some recorded and others used the device.</summary>
/// <param name="Recordings">Made.</param>
/// <param name="Loads">Models that another thread loaded and unloaded meanwhile.</param>
/// <param name="Disturbances">Calls of that thread during a recording, each of which breaks it on a real device.</param>
internal sealed record CrowdResult(long Recordings, int Loads, long Disturbances);

/// <summary>Decoding, in which every number of sequences is recorded at its first step, while another thread loads one model after the other, as a server does that replaces them.</summary>
internal static class CrowdedRecording
{
    private const int Slots = 12, Length = 32, LeastLoads = 3;
    private static readonly SessionSettings OnGpu = new() { Device = Device.Cuda(0), Threads = 1 };

    public static CrowdResult Run()
    {
        using var folder = new ScratchFolder();
        var package = RandomPackage.Write(folder.PathOf("model"), Workload.Tiny.Model);
        using var session = new GenerationSession(package, Slots, Length, OnGpu);
        CudaStub.Reset();
        using var done = new CancellationTokenSource();
        using var progress = new SemaphoreSlim(0);
        var loader = Task.Run(() => Load(package, progress, done.Token));
        for (int load = 0; load < LeastLoads; load++) progress.Wait();
        for (int rows = 1; rows <= Slots; rows++)
            for (int step = 0; step < 2; step++) session.Decode(new int[rows], new int[rows]);
        done.Cancel();
        return new(CudaStub.Captured, loader.GetAwaiter().GetResult(), CudaStub.Disturbed);
    }

    private static int Load(ModelPackage package, SemaphoreSlim progress, CancellationToken done)
    {
        int loads = 0;
        for (; !done.IsCancellationRequested; loads++, progress.Release())
            using (new GenerationSession(package, 1, Length, OnGpu)) { }
        return loads;
    }
}
