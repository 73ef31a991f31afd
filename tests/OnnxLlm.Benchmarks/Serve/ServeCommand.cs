using System.CommandLine;
using OnnxLlm.Benchmarks.Decode;

namespace OnnxLlm.Benchmarks.Serve;

/// <summary>`serve`.</summary>
internal static class ServeCommand
{
    public static Command Create() => AnswerOptions.Command(
        "serve", "Answers streamed by the server against the bare decode loop.", "model package, INT8 or not",
        options => new ServeSuite(options, TimeProvider.System, Console.Out).Run());
}
