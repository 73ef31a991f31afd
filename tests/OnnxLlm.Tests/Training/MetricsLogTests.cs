using OnnxLlm.Training.Metrics;

namespace OnnxLlm.Tests.Training;

public sealed class MetricsLogTests : IDisposable
{
    private readonly string _path = Path.Combine(Directory.CreateTempSubdirectory("metrics-").FullName, "metrics.jsonl");

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(_path)!, recursive: true);

    [Fact]
    public void Append_WritesOneReadableObjectPerLine()
    {
        using (var log = MetricsLog.Open(_path, 0))
        {
            log.Append(Step(1) with { Loss = 0.5 });
            log.Append(new RunEvent(1, "skipped", "a line\nbreak"));
        }

        Assert.Equal("""{"step":1,"loss":0.5,"perplexity":1.6487212707001282,"learning_rate":0.25,"tokens":128,"tokens_per_second":64,"elapsed_seconds":2,"skipped":0}""", File.ReadAllLines(_path)[0]);
        Assert.Equal("a line\nbreak", MetricsLog.Lines(_path).Last().GetProperty("message").GetString());
    }

    [Fact]
    public void Append_OfNumbersThatAreNotFinite_LeavesThemOut()
    {
        using (var log = MetricsLog.Open(_path, 0)) log.Append(Step(1) with { Loss = 1000 });

        var line = MetricsLog.Lines(_path).Single();
        Assert.Equal(1000, line.GetProperty("loss").GetDouble());
        Assert.False(line.TryGetProperty("perplexity", out _));     // e^1000
    }

    [Fact]
    public void Open_AfterACheckpoint_DropsLaterStepsAndACutOffLine()
    {
        using (var log = MetricsLog.Open(_path, 0))
            for (var step = 1; step <= 4; step++) log.Append(Step(step));
        File.AppendAllText(_path, "{\"step\":5,\"lo");

        using (var log = MetricsLog.Open(_path, step: 3)) log.Append(Step(4));

        Assert.Equal([1, 2, 3, 4], File.ReadAllLines(_path).Select(line => System.Text.Json.JsonDocument.Parse(line).RootElement.GetProperty("step").GetInt64()));
    }

    private static StepMetrics Step(long step) => new() { Step = step, LearningRate = 0.25, Tokens = 128, TokensPerSecond = 64, ElapsedSeconds = 2 };
}
