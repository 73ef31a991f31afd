using System.Text.Json;

namespace OnnxLlm.Benchmarks.Soak;

/// <summary>Begins requests at a steady rate, of a random kind each, and counts how they end.</summary>
internal sealed class SoakTraffic(SoakRequests requests, int rate, TimeProvider time, TextWriter output)
{
    private const int Seed = 7, MostAtOnce = 64;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly int[,] _counts = new int[SoakRequests.Kinds.Count, Enum.GetValues<SoakOutcome>().Length];
    private readonly HashSet<Task> _running = [];

    /// <summary>Requests that were not begun because too many were under way.</summary>
    public int Skipped { get; private set; }

    /// <summary>Requests that had not ended minutes after the last one had begun.</summary>
    public int Hung { get; private set; }

    public int Count(int kind, SoakOutcome outcome) => _counts[kind, (int)outcome];

    public int Count(SoakOutcome outcome) => Enumerable.Range(0, SoakRequests.Kinds.Count).Sum(kind => Count(kind, outcome));

    /// <summary>Returns when the last request has ended.</summary>
    public async Task RunAsync(CancellationToken end)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1.0 / rate), time);
        try
        {
            for (int number = 0; await timer.WaitForNextTickAsync(end).ConfigureAwait(false); number++)
            {
                _running.RemoveWhere(task => task.IsCompleted);
                if (_running.Count < MostAtOnce) _running.Add(OneAsync(new Random(Seed + number)));
                else Skipped++;
            }
        }
        catch (OperationCanceledException)
        {
            // Time is up.
        }

        Task all = Task.WhenAll(_running);
        await Task.WhenAny(all, Task.Delay(Patience, time, CancellationToken.None)).ConfigureAwait(false);
        Hung = _running.Count(task => !task.IsCompleted);
    }

    private async Task OneAsync(Random random)
    {
        int kind = random.Next(SoakRequests.Kinds.Count);
        SoakOutcome outcome = await EndAsync(kind, random).ConfigureAwait(false);
        Interlocked.Increment(ref _counts[kind, (int)outcome]);
    }

    private async Task<SoakOutcome> EndAsync(int kind, Random random)
    {
        try
        {
            return await requests.SendAsync(kind, random).ConfigureAwait(false);
        }
        catch (Exception error) when (error is HttpRequestException or IOException or JsonException or KeyNotFoundException or OperationCanceledException)
        {
            output.WriteLine($"  {SoakRequests.Kinds[kind]}: {error.Message}");
            return SoakOutcome.Broken;
        }
    }
}
