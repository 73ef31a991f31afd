using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tools.Evaluation;
using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.Tests.Tools;

/// <summary>8-bit weights on a device on which floats may be faster.</summary>
public sealed class DeviceSpeedTests : IDisposable
{
    private readonly Workshop _shop = new();

    public DeviceSpeedTests()
    {
        _shop.Export();
        Assert.Equal(0, _shop.Run("quantize", "--model", "@models/tiny", "--out", "@models/int8", "--data", "@data/shards").Code);
    }

    public void Dispose() => _shop.Dispose();

    [Theory]
    [InlineData(100, 50, false)]
    [InlineData(100, 150, true)]
    public void OnAGpu_WhatWasMeasuredToBeFaster_IsUsed(double floats, double quantized, bool usesQuantized)
    {
        Record(100, 1);      // replaced by what follows
        Record(floats, quantized);

        var package = ModelPackage.Open(_shop.At("models/int8"));
        Assert.Equal(quantized / floats, package.QuantizationSpeedup(Device.Cuda(0)));
        Assert.Null(package.QuantizationSpeedup("CUDAExecutionProvider", "a GPU of another name"));
        Assert.NotNull(package.QuantizationSpeedup(Device.Cpu));
        Assert.Equal(usesQuantized, package.RunsQuantized(new() { Device = Device.Cuda(0) }));
        Assert.True(package.RunsQuantized(new()));
        Assert.True(package.RunsQuantized(new() { Device = Device.Cuda(0), QuantizedWeights = true }));
    }

    /// <summary>Many sequences share the reading of a weight, so what is faster for one may be slower for them.</summary>
    [Theory]
    [InlineData(150, 90, false)]
    [InlineData(90, 150, false)]
    [InlineData(150, 110, true)]
    public void OnAGpu_QuantizedWeightsMustBeFaster_ForOneSequenceAndForSixteen(double one, double sixteen, bool usesQuantized)
    {
        Record((isQuantized, sequences) => !isQuantized ? 100 : sequences == 1 ? one : sixteen);
        Assert.Equal(usesQuantized, ModelPackage.Open(_shop.At("models/int8")).RunsQuantized(new() { Device = Device.Cuda(0) }));
        Assert.Equal([1, 1, 16], QuantizationReport.Parse(ModelPackage.Open(_shop.At("models/int8")).Quantization)!.Speed.Select(s => s.Sequences).Order());
    }

    /// <summary>A weight is off by at most half a step, 1/254 of the largest of its block, and the quantized product rounds activations as much; some fourteen products follow each other.</summary>
    [Fact]
    public void WidenedWeights_GiveTheScoresOfTheQuantizedModel()
    {
        var package = ModelPackage.Open(_shop.At("models/int8"));
        int[] tokens = [5, 9, 2, 7, 11, 3];
        float[] quantized = Scores(package, true, tokens), widened = Scores(package, false, tokens), whole = Scores(ModelPackage.Open(_shop.At("models/tiny")), null, tokens);
        Closeness.AssertClose(widened, quantized, 14.0 / 254, "quantized");
        Closeness.AssertClose(widened, whole, 14.0 / 254, "float");
        Assert.NotEqual(widened, quantized);
        Assert.NotEqual(widened, whole);
    }

    [Fact]
    public void Speed_OnTheCpu_IsMeasuredAndWrittenDown()
    {
        var (code, output, error) = _shop.Run("speed", "--model", "@models/int8", "--device", "cpu", "--threads", "1");
        Assert.True(code == 0, error);
        Assert.Matches(@"^CPUExecutionProvider: prefill [\d,]+ -> [\d,]+, decode [\d,]+ -> [\d,]+ tokens/s; (quantized weights|floats) are faster", output);
        Assert.Single(QuantizationReport.Parse(ModelPackage.Open(_shop.At("models/int8")).Quantization)!.Speed);
    }

    [Fact]
    public void Speed_OfAFloatPackage_IsRefused()
    {
        var (code, _, error) = _shop.Run("speed", "--model", "@models/tiny", "--device", "cpu");
        Assert.Equal((2, "error: @models/tiny is not quantized: there is nothing to compare.\n"), (code, error));
    }

    private void Record(double floats, double quantized) => Record((isQuantized, _) => isQuantized ? quantized : floats);

    private void Record(Func<bool, int, double> decode) =>
        new DeviceSpeed(Device.Cuda(0), 1, TimeProvider.System) { Measured = (_, isQuantized, sequences) => new Speed(1000, decode(isQuantized, sequences)) }.Record(_shop.At("models/int8"));

    private static float[] Scores(ModelPackage package, bool? quantizedWeights, int[] tokens)
    {
        using var session = new GenerationSession(package, 1, 16, new SessionSettings { QuantizedWeights = quantizedWeights });
        return session.Prefill(0, tokens, 0).ToArray();
    }
}
