using System.CommandLine;

namespace OnnxLlm.Training.Commands;

/// <summary>Options of more than one command.</summary>
internal static class SharedOptions
{
    public static Option<bool> Plain { get; } = new("--plain") { Description = "Plain lines instead of the live picture" };

    public static Option<bool> AllowInexact { get; } = new("--allow-inexact") { Description = "Go on although the self-check finds that the run would not continue bit for bit" };
}
