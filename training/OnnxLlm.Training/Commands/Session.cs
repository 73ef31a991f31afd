using System.CommandLine;
using OnnxLlm.Training.Checkpoints;
using OnnxLlm.Training.Progress;
using OnnxLlm.Training.Report;
using OnnxLlm.Training.Runs;
using Spectre.Console;

namespace OnnxLlm.Training.Commands;

/// <summary>Runs one process of a run with the view and the signals of a terminal, and turns its outcome into words and an exit code.</summary>
internal static class Session
{
    public static int Run(ParseResult parsed, RunFolder folder, Func<TrainingRun, CancellationToken, Outcome> train)
    {
        using var stop = new StopSignal();
        var options = new RunOptions { Command = string.Join(' ', parsed.Tokens.Select(t => t.Value)), AllowInexact = parsed.GetValue(SharedOptions.AllowInexact) };
        var outcome = train(new TrainingRun(folder, options, View(parsed.GetValue(SharedOptions.Plain)), TimeProvider.System), stop.Token);
        WriteReport(folder);
        return Conclude(outcome, folder);
    }

    /// <summary>A page that cannot be written is no failure of the training.</summary>
    private static void WriteReport(RunFolder folder)
    {
        try
        {
            Console.WriteLine($"Report: {HtmlReport.Write(folder)}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"The report could not be written: {e.Message}");
        }
    }

    private static IProgressView View(bool plain) => plain || Console.IsOutputRedirected || !AnsiConsole.Profile.Capabilities.Interactive
        ? new PlainView(Console.Out)
        : new LiveView(AnsiConsole.Console, TimeProvider.System);

    private static int Conclude(Outcome outcome, RunFolder folder)
    {
        switch (outcome)
        {
            case Outcome.Interrupted:
                Console.WriteLine($"Stopped; everything is saved. Go on with: resume {folder.Root}");
                return ExitCodes.ResumeMe;
            case Outcome.Diverged:
                Console.Error.WriteLine($"Stopped: too many steps in a row had a loss or gradient that is not finite. Lower optimizer.learning_rate, raise schedule.warmup_steps, or set optimizer.clip_norm. Weights are as of the last good step; checkpoints are in {folder.Checkpoints}.");
                return ExitCodes.Diverged;
            default:
                Console.WriteLine(Finished(new CheckpointStore(folder.Checkpoints, 1).Best(), folder));
                return ExitCodes.Finished;
        }
    }

    private static string Finished(Checkpoint? best, RunFolder folder) => best is null
        ? $"Finished; checkpoints are in {folder.Checkpoints}"
        : $"Finished; best checkpoint: {best.Path}, validation loss {Numbers.Loss(best.State.ValidationLoss)}, {Quality(best.State)}";

    private static string Quality(TrainingState state) => state.ValidationAccuracy is { } accuracy
        ? $"accuracy {Numbers.Share(accuracy)}"
        : $"perplexity {Numbers.Text(Math.Exp(state.ValidationLoss!.Value), "0.00")}";
}
