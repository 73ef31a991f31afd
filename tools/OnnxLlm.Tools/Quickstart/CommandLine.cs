using System.Collections.Immutable;

namespace OnnxLlm.Tools.Quickstart;

/// <summary>A program and its arguments, as a user would type them.</summary>
internal sealed record CommandLine(string Program, ImmutableArray<string> Arguments)
{
    /// <summary>A file that takes what the program prints; null leaves it on the terminal. Errors stay there in any case.</summary>
    public string? Output { get; init; }

    /// <summary>A program of this repository, by its project folder.</summary>
    public static CommandLine Project(string project, params IEnumerable<string> arguments) =>
        new("dotnet", ["run", "-c", "Release", "--project", project, "--", .. arguments]);

    public override string ToString() => string.Join(' ', Arguments.Prepend(Program).Select(Quote)) + (Output is null ? "" : $" > {Quote(Output)}");

    private static string Quote(string word) =>
        word.Length > 0 && word.All(c => char.IsAsciiLetterOrDigit(c) || "-_./:=,+@%".Contains(c)) ? word : $"'{word.Replace("'", "'\\''")}'";
}
