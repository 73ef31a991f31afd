using System.Collections.Concurrent;
using System.Text.Json;
using System.Threading.Channels;

namespace OnnxLlm.Training.Tracking;

/// <summary>
/// Sends a run's numbers to an MLflow server from a thread of its own. While the server cannot be reached, values wait, the oldest being
/// dropped beyond a limit, and it is tried again at growing intervals; the run neither waits nor fails.
/// </summary>
internal sealed class MlflowTracker : ITracker
{
    /// <summary>MLflow's limits for one call.</summary>
    internal const int MetricsPerCall = 1000, ParametersPerCall = 100;

    private const int Capacity = 100_000;
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(2), LongestPause = TimeSpan.FromMinutes(1), EndTime = TimeSpan.FromSeconds(15);

    private readonly MlflowClient _client;
    private readonly MlflowRun _run;
    private readonly TimeProvider _clock;
    private readonly Channel<MlflowMetric> _metrics;
    private readonly ConcurrentQueue<string> _complaints = [];
    private readonly CancellationTokenSource _ending = new();
    private readonly CancellationTokenSource _giveUp = new();
    private readonly Task _sending;
    private string? _id;
    private string _status = "KILLED";
    private long _dropped;
    private bool _down;

    public MlflowTracker(MlflowClient client, MlflowRun run, TimeProvider clock)
    {
        (_client, _run, _clock) = (client, run, clock);
        _metrics = Channel.CreateBounded<MlflowMetric>(new BoundedChannelOptions(Capacity) { FullMode = BoundedChannelFullMode.DropOldest }, _ => Interlocked.Increment(ref _dropped));
        _sending = Task.Run(Send);
    }

    public void Record(TrackedPoint point)
    {
        var time = Now();
        foreach (var (name, value) in point.Numbers) _metrics.Writer.TryWrite(new MlflowMetric(name, value, time, point.Step));
    }

    public string? Complaint() => _complaints.TryDequeue(out var complaint) ? complaint : null;

    /// <summary>Sends what is left; a server that is down, or too slow, is not waited for.</summary>
    public void End(Outcome outcome)
    {
        _status = outcome switch { Outcome.Finished => "FINISHED", Outcome.Diverged => "FAILED", _ => "KILLED" };
        _metrics.Writer.TryComplete();
        _ending.Cancel();
        if (!_sending.Wait(EndTime)) _giveUp.Cancel();
        _sending.Wait(EndTime);
    }

    public void Dispose()
    {
        if (!_sending.IsCompleted) End(Outcome.Interrupted);
        _client.Dispose();
        _ending.Dispose();
        _giveUp.Dispose();
    }

    private async Task Send()
    {
        var (batch, pause, last, failed) = (new List<MlflowMetric>(), FirstPause, false, false);
        while (batch.Count > 0 || await _metrics.Reader.WaitToReadAsync().ConfigureAwait(false))
        {
            while (batch.Count < MetricsPerCall && _metrics.Reader.TryRead(out var metric)) batch.Add(metric);
            last = _ending.IsCancellationRequested;
            if (await Attempt(id => _client.LogMetrics(id, batch, _giveUp.Token)).ConfigureAwait(false)) (batch, pause, failed) = ([], FirstPause, false);
            else if (last && failed) break;
            else (pause, failed) = (await Pause(pause).ConfigureAwait(false), true);
        }
        var lost = batch.Count + _metrics.Reader.Count + Interlocked.Read(ref _dropped);
        if (lost > 0) _complaints.Enqueue($"{lost} values did not reach MLflow at {_client.Server}; metrics.jsonl has them all.");
        else if (_id is not null) await Attempt(id => _client.SetStatus(id, _status, Now(), _giveUp.Token)).ConfigureAwait(false);
    }

    /// <summary>Makes a call, after making the run where it is not known yet. Whatever goes wrong is complained of once, until it works again.</summary>
    private async Task<bool> Attempt(Func<string, Task> call)
    {
        try
        {
            await call(_id ??= await Begin().ConfigureAwait(false)).ConfigureAwait(false);
            _down = false;
            return true;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or JsonException or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            if (!_down) _complaints.Enqueue($"MLflow at {_client.Server} does not take metrics ({e.Message.TrimEnd('.')}); the run goes on, they are kept and tried again.");
            _down = true;
            return false;
        }
    }

    /// <summary>
    /// The run that an earlier process or attempt began, or a new one; its id is kept before anything else can fail, so that one run stays one there.
    /// Parameters that the server has already are no error to it.
    /// </summary>
    private async Task<string> Begin()
    {
        var known = File.Exists(_run.IdFile) ? (await File.ReadAllTextAsync(_run.IdFile, _giveUp.Token).ConfigureAwait(false)).Trim() : "";
        if (known.Length > 0) await _client.SetStatus(known, "RUNNING", null, _giveUp.Token).ConfigureAwait(false);
        var id = known.Length > 0 ? known : await Create().ConfigureAwait(false);
        foreach (var part in _run.Parameters.Chunk(ParametersPerCall)) await _client.LogParameters(id, part, _giveUp.Token).ConfigureAwait(false);
        return id;
    }

    private async Task<string> Create()
    {
        var experiment = await _client.Experiment(_run.Experiment, _giveUp.Token).ConfigureAwait(false);
        var id = await _client.CreateRun(experiment, _run.Name, Now(), _giveUp.Token).ConfigureAwait(false);
        await File.WriteAllTextAsync(_run.IdFile, id + "\n", _giveUp.Token).ConfigureAwait(false);
        return id;
    }

    /// <summary>Waits, but not beyond the end of the run; returns the next, longer pause.</summary>
    private async Task<TimeSpan> Pause(TimeSpan pause)
    {
        try
        {
            await Task.Delay(pause, _clock, _ending.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The end of the run is the last attempt, but never the only one.
        }
        return pause * 2 < LongestPause ? pause * 2 : LongestPause;
    }

    private long Now() => _clock.GetUtcNow().ToUnixTimeMilliseconds();
}
