using System.Runtime.InteropServices;

namespace OnnxLlm.Serving.Api;

/// <summary>
/// Ends the server gently. On SIGTERM or Ctrl-C it keeps listening, to answer new work with 503, until what runs is done or the limit
/// has passed; a second signal ends it at once.
/// </summary>
internal sealed class DrainingLifetime(Drain drain, IHostApplicationLifetime application, ServerOptions options, TimeProvider time, ILogger<DrainingLifetime> logger)
    : IHostLifetime, IDisposable
{
    private readonly List<PosixSignalRegistration> _signals = [];

    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        foreach (var signal in new[] { PosixSignal.SIGTERM, PosixSignal.SIGINT, PosixSignal.SIGQUIT })
            _signals.Add(PosixSignalRegistration.Create(signal, OnSignal));
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Closes the door, waits, then stops the host.</summary>
    public async Task EndAsync()
    {
        if (drain.IsDraining)
        {
            application.StopApplication();
            return;
        }

        logger.LogInformation("Draining: running requests get {Seconds} s to finish.", options.DrainSeconds);
        drain.Begin();
        try
        {
            await drain.Empty.WaitAsync(TimeSpan.FromSeconds(options.DrainSeconds), time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            logger.LogWarning("The drain limit has passed; what still runs is cut off.");
        }

        application.StopApplication();
    }

    public void Dispose() => _signals.ForEach(signal => signal.Dispose());

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        _ = EndAsync();
    }
}
