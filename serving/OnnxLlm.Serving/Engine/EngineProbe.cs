using System.Threading.Channels;

namespace OnnxLlm.Serving.Engine;

/// <summary>
/// Asks the model for one token, through the engine like any request, to learn whether it still answers.
/// A recent forward pass, whoever asked for it, is answer enough; so the model is bothered at most every 30 s, and only when idle.
/// </summary>
/// <param name="health">Of the engine.</param>
/// <param name="submit">Hands it a request.</param>
internal sealed class EngineProbe(EngineHealth health, Func<IReadOnlyList<Sequence>, Admission> submit, TimeProvider time)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>True if the model's last forward pass, perhaps made now, succeeded.</summary>
    public async Task<bool> IsReadyAsync(CancellationToken cancellation = default)
    {
        if (!health.IsKnown) await AskAsync(cancellation).ConfigureAwait(false);
        return health.IsKnown && health.IsHealthy;
    }

    /// <summary>Asks, however lately that was done. Returns when there is an answer, or none within some time.</summary>
    public async Task AskAsync(CancellationToken cancellation)
    {
        var output = Channel.CreateUnbounded<SequenceEvent>();
        var question = new Sequence { Prompt = [0], MaxTokens = 1, Sampling = new() { Temperature = 0 }, Output = output.Writer, IsProbe = true, Cancelled = cancellation };
        if (submit([question]) != Admission.Accepted) return;
        try
        {
            SequenceEvent answer;
            do answer = await output.Reader.ReadAsync(cancellation).AsTask().WaitAsync(Patience, time, cancellation).ConfigureAwait(false);
            while (answer is TokensGenerated);
        }
        catch (TimeoutException)
        {
            // The loop is stuck in a step, so its health stays unknown.
        }
    }
}
