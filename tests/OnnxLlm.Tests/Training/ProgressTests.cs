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

    /// <summary>Every line fits, and no number is broken, however narrow the terminal is; three columns become two.</summary>
    [Theory]
    [InlineData(120, 82)]
    [InlineData(80, 80)]
    [InlineData(60, 60)]
    public void LiveView_OfAnyWidth_BreaksNoNumber(int terminal, int picture)
    {
        var lines = Picture(terminal).Split('\n');

        Assert.All(lines.Where(l => l.StartsWith('│')), l => Assert.Equal(picture, l.TrimEnd().Length));
        string[] pairs = ["loss           12.5000", "perplexity     268337.3", "speed ", "143.2 k tok/s", "learning rate  1.50e-3", "gradient norm  0.75", "tokens ", "1.00 M", "skipped "];
        Assert.All(pairs, pair => Assert.Contains(lines, l => l.Contains(pair, StringComparison.Ordinal)));
    }

    /// <summary>What is said after the picture, such as what a tracker did not take, is read below it.</summary>
    [Fact]
    public void LiveView_KeepsTheLastNotes_AndPrintsLaterOnes()
    {
        var picture = Picture(80, "first", "second", "third", new string('x', 40) + " " + new string('y', 60));

        Assert.DoesNotContain("first", picture, StringComparison.Ordinal);
        Assert.All(["second", "third", new string('x', 40), new string('y', 60)], note => Assert.Contains($"│  {note}", picture, StringComparison.Ordinal));
        Assert.EndsWith("╯\nafterwards\n", picture, StringComparison.Ordinal);
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
    [InlineData(75, "1:15")]
    [InlineData(7200, "2:00:00")]
    [InlineData(2 * 86400 + 61, "48:01:01")]
    public void Time_OfDays_IsInHours(double seconds, string text) => Assert.Equal(text, Numbers.Time(TimeSpan.FromSeconds(seconds)));

    [Theory]
    [InlineData(999, "999")]
    [InlineData(12_345, "12.3 k")]
    [InlineData(1_234_567, "1.23 M")]
    [InlineData(2.5e9, "2.50 G")]
    public void Short_KeepsThreeFigures(double value, string text) => Assert.Equal(text, Numbers.Short(value));

    /// <summary>The last picture of a run in a terminal of so many columns, with wide numbers and these notes; one more comes after it.</summary>
    private static string Picture(int columns, params string[] notes)
    {
        var output = new StringWriter { NewLine = "\n" };
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output), Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors });
        console.Profile.Width = columns;
        var view = new LiveView(console, TimeProvider.System);
        view.Show(Start, () =>
        {
            foreach (var note in notes) view.Note(note);
            view.Step(Report(123_456, planned: 600_000, loss: 12.5, speed: 143_200));
            view.Validated(new ValidationMetrics(50, 3.25, 0.01, 1000));
        });
        view.Note("afterwards");
        var text = output.ToString();
        return text[text.LastIndexOf('╭')..];
    }

    private static StepReport Report(long step, long planned, double loss = 3.5, double speed = 10_400)
    {
        var metrics = new StepMetrics { Step = step, Loss = loss, LearningRate = 1.5e-3, GradientNorm = 0.75, Tokens = 1_000_000, TokensPerSecond = speed, ElapsedSeconds = 75 };
        return new StepReport(metrics, loss, planned, TimeSpan.FromSeconds(75), TimeSpan.FromSeconds(45));
    }
}
