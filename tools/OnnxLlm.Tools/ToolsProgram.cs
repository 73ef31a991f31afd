using System.CommandLine;
using System.CommandLine.Invocation;
using OnnxLlm.Tools.Commands;

namespace OnnxLlm.Tools;

/// <summary>
/// The program: finds the command, runs it, and turns what a user can get wrong into one line on the error output and exit code 2.
/// </summary>
public static class ToolsProgram
{
    public const int Success = 0;

    /// <summary>What was asked for cannot be done; the error output says why.</summary>
    public const int UserError = 2;

    /// <summary>Ctrl-C, as shells report it.</summary>
    public const int Cancelled = 130;

    // Linux's ENOSPC, and Windows' ERROR_DISK_FULL as an HRESULT.
    private const int NoSpaceOnUnix = 28;
    private const int NoSpaceOnWindows = unchecked((int)0x80070070);

    /// <summary>Runs one command; returns the exit code.</summary>
    public static int Run(string[] args, TextWriter output, TextWriter error)
    {
        var parsed = Create().Parse(args);
        if (parsed.Action is ParseErrorAction)
            return Fail(error, $"{DescribeUse(parsed)}; add --help to see what there is");
        try
        {
            return parsed.Invoke(new InvocationConfiguration { Output = output, Error = error, EnableDefaultExceptionHandler = false });
        }
        catch (OperationCanceledException)
        {
            return Cancelled;
        }
        catch (Exception mistake) when (IsExpected(mistake))
        {
            return Fail(error, Describe(mistake));
        }
    }

    private static RootCommand Create() => new("Tools around OnnxLlm models.")
    {
        BenchCommand.Create(),
        CorpusCommand.Create(),
        DoctorCommand.Create(),
        EvaluateCommand.Create(),
        ExportCommand.Create(),
        ImportCommand.Create(),
        InspectCommand.Create(),
        QuantizeCommand.Create(),
        QuickstartCommand.Create(),
        ScoreCommand.Create(),
        SpeedCommand.Create(),
        TokenizerCommand.Create(),
    };

    /// <summary>Our own exceptions and the file system's are about what the user asked for; any other is a defect and keeps its trace.</summary>
    private static bool IsExpected(Exception error) => error is IOException or UnauthorizedAccessException
        || error.GetType().Namespace?.StartsWith("OnnxLlm.", StringComparison.Ordinal) == true;

    private static string DescribeUse(ParseResult parsed)
        => parsed.UnmatchedTokens is [var first, ..] ? $"'{first}' is not known here" : parsed.Errors[0].Message.TrimEnd('.');

    private static string Describe(Exception error) => error.HResult is NoSpaceOnUnix or NoSpaceOnWindows
        ? $"the disk is full: {error.Message}" : error.Message;

    private static int Fail(TextWriter error, string message)
    {
        error.WriteLine($"error: {message.ReplaceLineEndings(" ")}");
        return UserError;
    }
}
