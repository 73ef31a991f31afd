using System.Text.Json;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Training.Tracking;

/// <summary>The trackers of a run, fed from its log.</summary>
internal sealed class Trackers(IReadOnlyList<ITracker> trackers, Action<string> tell) : IDisposable
{
    /// <summary>The trackers that the config asks for, going on after <paramref name="step"/>.</summary>
    public static Trackers Open(RunFolder folder, RunRecord record, long step, TimeProvider clock, Action<string> tell)
    {
        var config = record.Config.Tracking;
        var trackers = new List<ITracker>();
        if (config.Tensorboard) trackers.Add(new EventFile(Path.Combine(folder.Root, "tensorboard"), step, clock));
        if (config.Mlflow is { } server) trackers.Add(new MlflowTracker(MlflowClient.Connect(server), MlflowRun.Of(folder, record), clock));
        return new Trackers(trackers, tell);
    }

    public void Record(ReadOnlySpan<byte> line)
    {
        if (trackers.Count == 0) return;
        var point = TrackedPoint.Of(JsonSerializer.Deserialize<JsonElement>(line));
        foreach (var tracker in trackers) tracker.Record(point);
        PassOn();
    }

    public void End(Outcome outcome)
    {
        foreach (var tracker in trackers) tracker.End(outcome);
        PassOn();
    }

    public void Dispose()
    {
        foreach (var tracker in trackers) tracker.Dispose();
    }

    private void PassOn()
    {
        // In a run shorter than a tracker's first attempt there are several at its end.
        foreach (var tracker in trackers)
            while (tracker.Complaint() is { } complaint) tell(complaint);
    }
}
