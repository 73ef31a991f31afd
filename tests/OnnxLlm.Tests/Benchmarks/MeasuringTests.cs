using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Tests.Benchmarks;

public sealed class MeasuringTests
{
    [Theory]
    [InlineData(new double[] { 3, 1, 2 }, 2, 1)]
    [InlineData(new double[] { 4, 1, 2, 3 }, 2.5, 1)]
    public void Summary_OfSample_IsMedianAndMinimum(double[] values, double median, double minimum) =>
        Assert.Equal(new Summary(median, minimum), Summary.Of(values));

    [Theory]
    [InlineData(0.65, "RESULT x 0.65 goal <= 0.65 met")]
    [InlineData(0.66, "RESULT x 0.66 goal <= 0.65 missed")]
    [InlineData(0.6504, "RESULT x 0.6504 goal <= 0.65 missed")]
    public void Goal_AtMost_PrintsLineForScripts(double value, string line) =>
        Assert.Equal(line, Goal.Most("x", value, 0.65).ToString());

    [Fact]
    public void Goal_NotANumber_IsMissed() => Assert.False(Goal.Least("x", double.NaN, 0).Met);

    [Fact]
    public void ProcessorTime_OfStatLine_LeavesOutIdleWaitingAndGuests() =>
        Assert.Equal(TimeSpan.FromSeconds(0.01 * (1 + 2 + 3 + 6 + 7 + 8)), ProcessorTime.Busy("cpu  1 2 3 400 500 6 7 8 900 1000"));

    [Fact]
    public void Document_SectionReplaced_KeepsTheOthers()
    {
        string document = BenchmarkDocument.Replaced(BenchmarkDocument.Replaced("# Title\n", "a", "one"), "b", "two");

        string replaced = BenchmarkDocument.Replaced(document, "a", "three\n");

        Assert.Equal(document.Replace("one", "three", StringComparison.Ordinal), replaced);
    }

    [Fact]
    public void Profile_OfTrace_SumsKernelsByOperator()
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        File.WriteAllText(path, """
            [{"cat":"Session","dur":900,"name":"model_run","args":{}},
             {"cat":"Node","dur":375,"name":"a_kernel_time","args":{"op_name":"MatMul"}},
             {"cat":"Node","dur":250,"name":"b_kernel_time","args":{"op_name":"Add"}},
             {"cat":"Node","dur":7,"name":"b_fence_before","args":{"op_name":"Add"}},
             {"cat":"Node","dur":375,"name":"c_kernel_time","args":{"op_name":"MatMul"}}]
            """);

        IReadOnlyList<OperatorTime> times = OrtProfile.Read([path]);
        File.Delete(path);

        Assert.Equal([new("MatMul", 2, 0.75), new("Add", 1, 0.25)], times);
        Assert.Equal(0.75, OrtProfile.ProductShare(times), 12);
    }
}
