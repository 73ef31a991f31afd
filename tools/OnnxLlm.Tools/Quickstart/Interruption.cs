using System.Runtime.InteropServices;

namespace OnnxLlm.Tools.Quickstart;

/// <summary>Ctrl-C or a request to terminate, turned into a cancellation, so that children can end in good order before we do.</summary>
internal sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _registrations;

    public Interruption() => _registrations =
    [
        // A terminal sends Ctrl-C to every process in it.
        PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Stop(context, reachedChildren: !Console.IsInputRedirected)),
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Stop(context, reachedChildren: false)),
    ];

    public CancellationToken Token => _source.Token;

    public bool ReachedChildren { get; private set; }

    public void Dispose()
    {
        foreach (var registration in _registrations) registration.Dispose();
        _source.Dispose();
    }

    private void Stop(PosixSignalContext context, bool reachedChildren)
    {
        context.Cancel = true;
        ReachedChildren = reachedChildren;
        _source.Cancel();
    }
}
