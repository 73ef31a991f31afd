namespace OnnxLlm.Training.Tracking;

/// <summary>Another place that a run's records go to, besides its log. Nothing that goes wrong there may stop or change the run.</summary>
internal interface ITracker : IDisposable
{
    /// <summary>Takes a record, at once; what takes time happens elsewhere.</summary>
    void Record(TrackedPoint point);

    /// <summary>What went wrong since the last call, for the user to read; null mostly.</summary>
    string? Complaint();

    /// <summary>The run, or this process of it, has ended; what is still to be sent is tried once more.</summary>
    void End(Outcome outcome);
}
