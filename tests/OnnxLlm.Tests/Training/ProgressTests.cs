using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Progress;
using Spectre.Console;

namespace OnnxLlm.Tests.Training;

public class ProgressTests
{
    private static readonly StartReport Start = new("runs/x", "llama 4 × 256", 4_200_000, 2_700_000, 4096, TimeSpan.FromMinutes(3), LogEvery: 10);

    [Fact]
    public void PlainView_PrintsLoggedStepsAndTheLast()
    {
        var output = new StringWriter { NewLine = "\n" };
        var view = new PlainView(output);
        view.Show(Start, () =>
        {
            foreach (var step in new[] { 9, 10, 11, 25 }) view.Step(Report(step, planned: 25));
            view.Validated(new ValidationMetrics(25, 3, 0.0125, 1000));
        });

        Assert.Equal(
            """
            runs/x: llama 4 × 256, 4.20 M parameters, 2.70 M training tokens, 4096 per step
            step 10/25  loss 3.5000  norm 0.75  lr 1.50e-3  10.4 k tok/s  1:15  ETA 0:45
            step 25/25  loss 3.5000  norm 0.75  lr 1.50e-3  10.4 k tok/s  1:15  ETA 0:45
            step 25  validation loss 3.0000 ± 0.0125  perplexity 20.09

            """.ReplaceLineEndings("\n"),
            output.ToString());
    }

    [Fact]
    public void LiveView_ShowsEveryNumber()
    {
        var output = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output), Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors });
        console.Profile.Width = 100;
        var view = new LiveView(console, TimeProvider.System);
        view.Show(Start, () =>
        {
            view.Step(Report(50, planned: 200));
            view.Validated(new ValidationMetrics(50, 3.25, 0.01, 1000));
            view.Note("step 50: checkpoint saved");
        });

        string[] expected = ["runs/x", "4.20 M parameters", "25%", "step 50/200", "1:15, 0:45 left", "3.5000", "33.12", "3.2500", "25.79", "1.50e-3", "0.75", "10.4 k tok/s", "checkpoint saved"];
        Assert.All(expected, text => Assert.Contains(text, output.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public void LossChart_FallsFromFullToTheLowestMark()
    {
        Assert.Equal(["█▄ ", "██▁"], LossChart.Draw([4, 3.3, 1], width: 3, height: 2));
        Assert.Equal(["███▁▁▁"], LossChart.Draw([2, 1], width: 6, height: 1));
        Assert.Equal(5, LossChart.Draw([.. Enumerable.Range(0, 1000).Select(i => (double)i)], width: 5, height: 1)[0].Length);
        Assert.Equal([""], LossChart.Draw([], width: 5, height: 1));
    }

    [Theory]
    [InlineData(999, "999")]
    [InlineData(12_345, "12.3 k")]
    [InlineData(1_234_567, "1.23 M")]
    [InlineData(2.5e9, "2.50 G")]
    public void Short_KeepsThreeFigures(double value, string text) => Assert.Equal(text, Numbers.Short(value));

    private static StepReport Report(long step, long planned)
    {
        var metrics = new StepMetrics { Step = step, Loss = 3.5, LearningRate = 1.5e-3, GradientNorm = 0.75, Tokens = 1_000_000, TokensPerSecond = 10_400, ElapsedSeconds = 75 };
        return new StepReport(metrics, 3.5, planned, TimeSpan.FromSeconds(75), TimeSpan.FromSeconds(45));
    }
}
