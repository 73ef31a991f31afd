using System.Diagnostics;

namespace OnnxLlm.Benchmarks.Measuring;

/// <summary>A worker that stays: its first turn begins with the process, a later one when it is asked for. Disposing it ends the process.</summary>
internal sealed class WorkerTurns(string name, Process process) : IDisposable
{
    private bool _asked;

    /// <summary>The worker's side: a turn at once, then one for each line of standard input, until that is closed.</summary>
    /// <returns>The exit code.</returns>
    public static int Take(Action turn)
    {
        do
        {
            turn();
            Console.WriteLine(new WorkerLine { Done = true });
        }
        while (Console.In.ReadLine() is not null);
        return 0;
    }

    /// <summary>Waits for a turn. The peak of its memory is read in its end, when the worker waits for the next line.</summary>
    /// <param name="beside">Processor time so far of another program that is measured with it, if there is one.</param>
    public WorkerRun Next(Func<TimeSpan>? beside = null)
    {
        var machine = new ProcessorTime(TimeProvider.System);
        TimeSpan before = Ours();
        if (_asked) process.StandardInput.WriteLine();
        _asked = true;
        var lines = new List<WorkerLine>();
        while (process.StandardOutput.ReadLine() is { } text)
        {
            lines.Add(WorkerLine.Parse(text));
            if (lines[^1].Done == true) return new WorkerRun(lines, process.PeakWorkingSet64, machine.OthersShare(Ours() - before));
        }

        process.WaitForExit();
        throw new BenchmarkException($"{name} ended with exit code {process.ExitCode} after {lines.Count} lines.");

        TimeSpan Ours()
        {
            process.Refresh();
            return process.TotalProcessorTime + (beside?.Invoke() ?? TimeSpan.Zero);
        }
    }

    public void Dispose()
    {
        process.StandardInput.Close();
        process.WaitForExit();
        process.Dispose();
    }
}
