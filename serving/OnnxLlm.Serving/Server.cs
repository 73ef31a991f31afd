using OnnxLlm.Runtime;
using OnnxLlm.Serving.Models;
using OnnxLlm.Serving.Safety;

namespace OnnxLlm.Serving;

/// <summary>The server, for programs that add guardrails of their own to it.</summary>
public static class Server
{
    /// <summary>Runs the server until it is asked to end. What is wrong with the arguments or the model is told in one line on standard error.</summary>
    /// <param name="arguments">As on the command line.</param>
    /// <param name="guardrails">Look at every prompt and answer, beside those that <c>--content-filter</c> puts up.</param>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(string[] arguments, params IReadOnlyList<IGuardrail> guardrails)
    {
        var (options, exitCode) = CommandLine.Parse(arguments);
        if (options is null) return exitCode;

        NativeHeap.KeepLargeBlocksApart();
        try
        {
            await using var app = ServerHost.Build(options, ModelLoader.Sources(options), guardrails: guardrails);
            await ServerRun.RunAsync(app).ConfigureAwait(false);
            return 0;
        }
        catch (ServingException mistake)
        {
            await Console.Error.WriteLineAsync(mistake.Message).ConfigureAwait(false);
            return 2;
        }
    }
}
