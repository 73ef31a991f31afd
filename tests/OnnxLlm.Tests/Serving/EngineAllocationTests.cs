using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;
using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Tests.Support;
using static OnnxLlm.Tests.Serving.SequenceFactory;

namespace OnnxLlm.Tests.Serving;

/// <summary>
/// What a token costs the loop in managed memory. The bounds are what has to be there: a token that leaves the engine takes a place of 16 bytes in
/// an array; all tokens that leave together take an array of 24 bytes, an event of 32, and a place of 16 in the courier's list, which grows by doubling while the courier
/// does not come: at most twice what it holds, and as much again in the smaller lists before.
/// Whatever else grows once may take a kilobyte over the thousand tokens.
/// </summary>
public sealed class EngineAllocationTests
{
    private const int Warm = 64, Measured = 1024, Place = 16, Event = 24 + 32 + 4 * 16, Once = 1024;

    [Theory]
    [InlineData(1, 0)]
    [InlineData(8, 0)]
    [InlineData(8, 16)]
    public async Task Loop_PerToken_AllocatesOnlyWhatLeaves(int sequences, int togetherAtMost)
    {
        var model = new NoiseModel(slots: 8, maxLength: 2048);
        var (passes, begin, end, clock) = (0, 0L, 0L, new SteppedClock());
        model.BeforePass = () =>
        {
            if (++passes == sequences + Warm) begin = GC.GetAllocatedBytesForCurrentThread();
            if (passes == sequences + Warm + Measured) end = GC.GetAllocatedBytesForCurrentThread();
            clock.Now++;
        };
        using var engine = new InferenceEngine(model, new() { DeliveryPace = TimeSpan.FromMilliseconds(togetherAtMost) }, new ServingMetrics(), clock, NullLogger.Instance);
        Channel<SequenceEvent>[] outputs = [.. Enumerable.Range(0, sequences).Select(_ => Channel.CreateUnbounded<SequenceEvent>(new() { SingleReader = true }))];
        Assert.Equal(Admission.Accepted, engine.Submit([.. outputs.Select((output, i) => Create([i], Warm + Measured + 2 * sequences, output: output))]));
        await Task.WhenAll(outputs.Select(output => CollectAsync(output.Reader)));
        var perToken = (end - begin) / (double)(Measured * sequences);
        Assert.InRange(perToken, 0, Place + (double)Event / Math.Max(1, togetherAtMost) + (double)Once / Measured);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Session_DecodingAToken_AllocatesNothing(bool quantized)
    {
        using var package = new ServedPackage();
        var folder = quantized ? QuantizedCopy.Write(package.Folder, Path.GetDirectoryName(package.Folder)!) : package.Folder;
        using var session = new GenerationSession(ModelPackage.Open(folder), 4, 128, new SessionSettings { Threads = 1 });
        int[] tokens = [1, 2], pasts = [1, 1];
        for (var slot = 0; slot < 2; slot++) session.Prefill(slot, [5], 0);
        Decode(20);
        var begin = GC.GetAllocatedBytesForCurrentThread();
        Decode(100);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - begin);

        void Decode(int steps)
        {
            for (var i = 0; i < steps; i++)
            {
                session.Decode(tokens, pasts);
                pasts[0]++;
                pasts[1]++;
            }
        }
    }

    /// <summary>A millisecond a step.</summary>
    private sealed class SteppedClock : TimeProvider
    {
        public long Now { get; set; }

        public override long TimestampFrequency => 1000;

        public override long GetTimestamp() => Now;
    }
}
