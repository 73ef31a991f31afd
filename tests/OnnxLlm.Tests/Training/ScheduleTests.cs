using OnnxLlm.Training;
using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Tests.Training;

public class ScheduleTests
{
    private const double Peak = 6e-4;
    private const double Least = 6e-5;

    [Theory]
    [InlineData(2000)]
    [InlineData(5000)]
    public void Cosine_AtStartWarmupMiddleAndEnd_EqualsClosedForm(int warmup)
    {
        var schedule = Create(ScheduleKind.Cosine, warmup);
        const long steps = 20000;
        var middle = (warmup + steps) / 2;

        Assert.Equal(Peak / warmup, schedule.LearningRate(0, steps), 15);
        Assert.Equal(Peak * 0.5, schedule.LearningRate(warmup / 2 - 1, steps), 15);
        Assert.Equal(Peak, schedule.LearningRate(warmup - 1, steps), 15);
        Assert.Equal(Peak, schedule.LearningRate(warmup, steps), 15);
        Assert.Equal((Peak + Least) / 2, schedule.LearningRate(middle, steps), 15);
        Assert.Equal(Least + (Peak - Least) * (1 + Math.Cos(Math.PI / 4)) / 2, schedule.LearningRate(warmup + (steps - warmup) / 4, steps), 15);
        Assert.Equal(Least, schedule.LearningRate(steps, steps), 15);
    }

    [Theory]
    [InlineData(2000)]
    [InlineData(5000)]
    public void Linear_AtStartWarmupMiddleAndEnd_EqualsClosedForm(int warmup)
    {
        var schedule = Create(ScheduleKind.Linear, warmup);
        const long steps = 20000;

        Assert.Equal(Peak / warmup, schedule.LearningRate(0, steps), 15);
        Assert.Equal(Peak, schedule.LearningRate(warmup, steps), 15);
        Assert.Equal(Peak - (Peak - Least) / 4, schedule.LearningRate(warmup + (steps - warmup) / 4, steps), 15);
        Assert.Equal((Peak + Least) / 2, schedule.LearningRate((warmup + steps) / 2, steps), 15);
        Assert.Equal(Least, schedule.LearningRate(steps, steps), 15);
    }

    [Theory]
    [InlineData(2000)]
    [InlineData(5000)]
    public void Constant_KeepsThePeakAfterTheWarmup(int warmup)
    {
        var schedule = Create(ScheduleKind.Constant, warmup);

        Assert.Equal(Peak / warmup, schedule.LearningRate(0, 20000), 15);
        Assert.Equal(Peak * 0.4, schedule.LearningRate(warmup * 2 / 5 - 1, 20000), 15);
        Assert.All([warmup, 12500L, 20000], step => Assert.Equal(Peak, schedule.LearningRate(step, 20000)));
    }

    [Theory]
    [InlineData(2000)]
    [InlineData(5000)]
    public void Wsd_IsStableUntilItsLastFifth(int warmup)
    {
        var schedule = Create(ScheduleKind.Wsd, warmup);

        Assert.Equal(Peak / warmup, schedule.LearningRate(0, 20000), 15);
        Assert.All([warmup, 12500L, 16000], step => Assert.Equal(Peak, schedule.LearningRate(step, 20000), 15));
        Assert.Equal((Peak + Least) / 2, schedule.LearningRate(18000, 20000), 15);
        Assert.Equal(Least, schedule.LearningRate(20000, 20000), 15);
    }

    [Fact]
    public void AnySchedule_WithoutAKnownEnd_DoesNotDecay() =>
        Assert.Equal(Peak, Create(ScheduleKind.Cosine, 10).LearningRate(1_000_000, null));

    [Fact]
    public void ElasticSchedule_WithFewSteps_WarmsUpForAQuarterOfThem()
    {
        var schedule = Create(ScheduleKind.Cosine, 100, elastic: true);

        Assert.Equal(Peak / 10, schedule.LearningRate(0, 40), 15);
        Assert.Equal(Peak, schedule.LearningRate(9, 40), 15);
        Assert.Equal(Peak / 100, schedule.LearningRate(0, 4000), 15);
    }

    private static Schedule Create(ScheduleKind kind, int warmup, bool elastic = false) =>
        new(new ScheduleConfig { Type = kind, WarmupSteps = warmup, MinLearningRate = Least, DecayFraction = 0.2 }, Peak, elastic);
}
