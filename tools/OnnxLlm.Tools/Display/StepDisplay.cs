using System.Globalization;
using OnnxLlm.Text;
using Spectre.Console;

namespace OnnxLlm.Tools.Display;

/// <summary>Shows how far a step has come: a bar on a terminal, one plain line per part where the output goes to a file or a pipe.</summary>
internal static class StepDisplay
{
    public static T Run<T>(TextWriter output, Func<IProgress<TextProgress>, T> step)
        => ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected ? RunWithBar(step) : step(new Lines(output));

    /// <summary>"10.8 MB" and the like, in decimal units.</summary>
    public static string Bytes(long bytes) => bytes switch
    {
        < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e3:F1} kB"),
        < 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:F1} MB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:F2} GB"),
    };

    private static T RunWithBar<T>(Func<IProgress<TextProgress>, T> step) => AnsiConsole.Progress().AutoClear(true)
        .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
        .Start(context => step(new Bar(context)));

    private sealed class Bar(ProgressContext context) : IProgress<TextProgress>
    {
        private readonly Lock _lock = new();
        private ProgressTask? _task;

        public void Report(TextProgress value)
        {
            lock (_lock)
            {
                if (_task?.Description != value.Step)
                    Begin(value.Step);
                _task!.IsIndeterminate = value.Total == 0;
                _task.MaxValue = Math.Max(value.Total, 1);
                _task.Value = value.Total == 0 ? 0 : value.Done;
            }
        }

        private void Begin(string step)
        {
            if (_task is not null)
                (_task.IsIndeterminate, _task.Value) = (false, _task.MaxValue);
            _task = context.AddTask(step);
        }
    }

    private sealed class Lines(TextWriter output) : IProgress<TextProgress>
    {
        private readonly Lock _lock = new();
        private string _step = "";

        public void Report(TextProgress value)
        {
            lock (_lock)
            {
                if (_step == value.Step)
                    return;
                _step = value.Step;
                output.WriteLine($"{value.Step} ...");
            }
        }
    }
}
