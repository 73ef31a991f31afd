using System.Text.Json;

namespace OnnxLlm.Benchmarks.Soak;

/// <summary>Begins requests at a steady rate, of a random kind each, and counts how they end.</summary>
internal sealed class SoakTraffic(SoakRequests requests, int rate, TimeProvider time, TextWriter output)
{
    /// <summary>Requests under way beyond which none is begun.</summary>
    public const int MostAtOnce = 64;

    private const int Seed = 7;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly HashSet<Task> _running = [];

    /// <summary>So far.</summary>
    public SoakCounts Counts { get; } = new();

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
                else Counts.Skipped++;
            }
        }
        catch (OperationCanceledException)
        {
            // Time is up.
        }

        Task all = Task.WhenAll(_running);
        await Task.WhenAny(all, Task.Delay(Patience, time, CancellationToken.None)).ConfigureAwait(false);
        Counts.Hung = _running.Count(task => !task.IsCompleted);
    }

    private async Task OneAsync(Random random)
    {
        int kind = random.Next(SoakRequests.Kinds.Count);
        SoakOutcome outcome = await EndAsync(kind, random).ConfigureAwait(false);
        Counts.Add(kind, outcome);
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
