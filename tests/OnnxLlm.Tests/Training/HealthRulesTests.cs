using OnnxLlm.Tests.Support;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Stability;

namespace OnnxLlm.Tests.Training;

/// <summary>Series made to break one rule each: exactly that one is raised, once.</summary>
public sealed class HealthRulesTests
{
    [Fact]
    public void HealthyRun_RaisesNothing() => Assert.Empty(Raised(Steps(400, i => Healthy(i))));

    [Fact]
    public void LossThatSwings_RaisesOscillation() =>
        Assert.Equal("oscillation: the loss swings by 30 % around its trend", Assert.Single(Raised(Steps(90, i => Healthy(i) with { Loss = 3 * (i % 2 == 0 ? 1.3 : 0.7) }))));

    [Fact]
    public void LossThatSwingsLittle_RaisesNothing() => Assert.Empty(Raised(Steps(90, i => Healthy(i) with { Loss = 3 * (i % 2 == 0 ? 1.14 : 0.86) })));

    [Fact]
    public void LossThatFallsSteeply_IsNoOscillation() => Assert.Empty(Raised(Steps(60, i => Healthy(i) with { Loss = 10 - i * 0.15 })));

    [Theory]
    [InlineData(11, "gradient norm: the gradient norm stays above 10, at 11.0")]
    [InlineData(0.05, "gradient norm: the gradient norm stays below 0.1, at 0.050")]
    public void GradientNorm_OutsideItsRange_IsRaised(double norm, string expected) =>
        Assert.Equal(expected, Assert.Single(Raised(Steps(60, i => i < 20 ? Healthy(i) : Healthy(i) with { GradientNorm = norm }))));

    [Fact]
    public void GradientNorm_OutsideForAMoment_RaisesNothing() =>
        Assert.Empty(Raised(Steps(60, i => i % 10 == 0 ? Healthy(i) : Healthy(i) with { GradientNorm = 11 })));

    [Fact]
    public void Loss_ThatIsNotANumber_IsRaised() =>
        Assert.Equal("not finite: the loss is not finite", Assert.Single(Raised(Steps(60, i => i is < 30 or > 32 ? Healthy(i) : Healthy(i) with { Loss = null, GradientNorm = null }))));

    [Fact]
    public void Loss_ThatNoLongerFalls_RaisesStall() =>
        Assert.Equal("stall: the loss has not fallen for 100 logged steps: 3.000, then 3.000", Assert.Single(Raised(Steps(300, i => Healthy(i) with { Loss = 3 }))));

    /// <summary>For a moment, as in a validation, is no reason.</summary>
    [Fact]
    public void Processor_MostlyIdle_IsRaisedAfterTenLoggedSteps()
    {
        Assert.Empty(Raised(Steps(60, i => Healthy(i) with { CpuShare = i % 10 == 0 ? 0.86 : 0.3 })));
        Assert.Equal(
            "processor: training has had less than 85 % of its threads' time for 10 logged steps, now 84 %: data, disk or other programs hold it up",
            Assert.Single(Raised(Steps(60, i => Healthy(i) with { CpuShare = i < 20 ? 1 : 0.84 }))));
    }

    [Fact]
    public void Gpu_MostlyIdle_IsRaisedAfterTenLoggedSteps()
    {
        Assert.Empty(Raised(Steps(60, i => Healthy(i) with { GpuUtilization = i % 10 == 0 ? 0.86 : 0.3 })));
        Assert.Equal(
            "gpu: the GPU has been busy for less than 85 % of the time for 10 logged steps, now 84 %: data, the host or others hold it up, or a micro-batch is too small for it",
            Assert.Single(Raised(Steps(60, i => Healthy(i) with { GpuUtilization = i < 20 ? 1 : 0.84 }))));
    }

    [Fact]
    public void ProcessUse_IsTheShareOfTheThreadsTimeSinceTheLastLook()
    {
        var clock = new ManualTime();
        var used = TimeSpan.FromSeconds(5);
        var use = new ProcessUse(clock, threads: 2, () => used);
        Assert.Null(use.Look());
        (used, _) = (used + TimeSpan.FromSeconds(3), Pass(2));
        Assert.Equal(0.75, use.Look());
        (used, _) = (used + TimeSpan.FromSeconds(1), Pass(1));
        Assert.Equal(0.5, use.Look());
        Assert.InRange(ProcessUse.ResidentMb, 10, 100_000);

        bool Pass(double seconds)
        {
            clock.Advance(TimeSpan.FromSeconds(seconds));
            return true;
        }
    }

    [Fact]
    public void Rule_BrokenAgainAfterItHeld_IsRaisedAgain() => Assert.Equal(
        2, Raised(Steps(60, i => i is 10 or 11 or 30 ? Healthy(i) with { GradientNorm = null } : Healthy(i))).Count);

    private static StepMetrics Healthy(int i) => new()
    {
        Step = i,
        Loss = 2 + 4 * Math.Exp(-i / 200.0) + 0.05 * Math.Sin(i),
        GradientNorm = 1 + 0.5 * Math.Sin(i * 0.7),
        LearningRate = 1e-3,
        Tokens = i,
        TokensPerSecond = 1,
        ElapsedSeconds = i,
    };

    private static IEnumerable<StepMetrics> Steps(int count, Func<int, StepMetrics> step) => Enumerable.Range(0, count).Select(step);

    private static List<string> Raised(IEnumerable<StepMetrics> steps)
    {
        var rules = new HealthRules();
        return [.. steps.SelectMany(rules.Observe).Select(alert => $"{alert.Rule}: {alert.Message}")];
    }
}
