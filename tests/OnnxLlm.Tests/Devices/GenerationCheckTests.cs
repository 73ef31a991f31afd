using OnnxLlm.GpuCheck.Measuring;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Tests.Devices;

/// <summary>The comparison of scores that run.sh makes on a GPU, as far as it can be shown without one.</summary>
public sealed class GenerationCheckTests
{
    /// <summary>The CPU beside itself: every form of package goes through, and equals itself.</summary>
    [Fact]
    public void Check_OfTheCpuBesideItself_FindsNoDifference()
    {
        var output = new StringWriter();
        Assert.True(GenerationCheck.Run(Workload.Tiny.Model, Device.Cpu, output), output.ToString());
        Assert.Equal(6, output.ToString().Split("differ by 0.0E+000").Length - 1);
    }

    /// <summary>Also where a score is no number, and where a device computes nothing.</summary>
    [Theory]
    [InlineData(4f, 0)]
    [InlineData(4.4f, 0.1)]
    [InlineData(float.NaN, double.NaN)]
    public void Difference_IsThatOfTheWorstScore(float last, double expected)
    {
        float[][] right = [[1, -2], [-3, 4]];
        Assert.Equal(expected, GenerationCheck.Difference(right, [[1, -2], [-3, last]]), 2);
        Assert.Equal(1, GenerationCheck.Difference(right, [[1, -2], [0, 0]]));
    }
}
