using OnnxLlm.Tools;

namespace OnnxLlm.Tests.Tools;

/// <summary>The tools' program, called as from a shell.</summary>
internal static class ToolCall
{
    public static (int Code, string Output, string Error) Run(params string[] command)
    {
        using StringWriter output = new(), error = new();
        return (ToolsProgram.Run(command, output, error), output.ToString(), error.ToString());
    }

    /// <summary>What a command says that must succeed without a complaint.</summary>
    public static string Succeeds(params string[] command)
    {
        var (code, output, error) = Run(command);
        Assert.Equal((0, ""), (code, error));
        return output;
    }

    /// <summary>A command fails in one sentence, which ends so, and says nothing else.</summary>
    public static void AssertRefused(string told, params string[] command)
    {
        var (code, output, error) = Run(command);
        Assert.Equal((2, ""), (code, output));
        Assert.EndsWith(told, error.TrimEnd(), StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.TrimEnd());
    }
}
