using OnnxLlm.Training.Metrics;

namespace OnnxLlm.Tests.Training;

public sealed class EnergyMeterTests
{
    /// <summary>Seconds and watts as they were read, with a gap.</summary>
    private static readonly (double Second, double? Watts)[] Recorded = [(0, 100), (10, 200), (30, 200), (40, null), (50, 100), (60, 100)];

    [Fact]
    public void PowerSeries_IsIntegratedBetweenItsReadings()
    {
        var meter = new EnergyMeter(null);
        foreach (var (second, watts) in Recorded) meter.Look(TimeSpan.FromSeconds(second), watts, counter: null);

        Assert.Equal(10 * 150 + 20 * 200 + 10 * 100, meter.Joules!.Value, 1e-9);        // nothing is made up for the gap
        Assert.Equal(6500 / 3.6e6, meter.Kwh!.Value, 1e-15);
    }

    [Fact]
    public void Counter_OfTheDevice_IsBelievedMoreThanItsPower()
    {
        var meter = new EnergyMeter(joules: 40);
        meter.Look(TimeSpan.Zero, 100, counter: 7);
        meter.Look(TimeSpan.FromSeconds(10), 100, counter: 907);
        Assert.Equal(940, meter.Joules);
    }

    [Fact]
    public void NothingMeasured_IsNull()
    {
        var meter = new EnergyMeter(null);
        meter.Look(TimeSpan.Zero, null, null);
        meter.Look(TimeSpan.FromSeconds(10), null, null);
        Assert.Null(meter.Kwh);
    }
}
