using OnnxLlm.Training;

namespace OnnxLlm.Tests.Training;

public class LossStatisticsTests
{
    [Fact]
    public void MeanAndStandardError_OfTwoBatches_EqualBruteForceOverTheirValidTokens()
    {
        float[] first = [1.5f, 0, 2.25f], second = [0.5f, 4, 0];
        var statistics = new LossStatistics();
        statistics.Add(first, [7, -100, 3]);
        statistics.Add(second, [1, 2, -100]);

        double[] valid = [1.5, 2.25, 0.5, 4];
        var mean = valid.Average();
        var deviation = Math.Sqrt(valid.Sum(x => (x - mean) * (x - mean)) / 3);

        Assert.Equal(4, statistics.Tokens);
        Assert.Equal(mean, statistics.Mean, 12);
        Assert.Equal(deviation / 2, statistics.StandardError, 12);
    }
}
