using System.Globalization;

namespace OnnxLlm.Benchmarks.Measuring;

/// <summary>What a suite says in the end: its section, the lines that scripts read, and the document if the machine was quiet enough to be quoted.</summary>
/// <param name="Suite">Names the section of the document.</param>
/// <param name="Section">Markdown.</param>
/// <param name="OthersShare">The most of the machine that other programs took during a run.</param>
internal sealed record Publication(string Suite, string Section, double OthersShare, IReadOnlyList<Goal> Goals)
{
    private const double LargestOthersShare = 0.05;

    /// <summary>Nobody else used the machine to speak of; otherwise there are no times, only noise.</summary>
    public static bool IsQuiet(double othersShare) => othersShare <= LargestOthersShare;

    /// <summary>Prints everything and rewrites the section of <paramref name="document"/>, unless that is null. Returns the exit code: 0 = every goal met.</summary>
    public int To(TextWriter output, string? document)
    {
        output.WriteLine(Section);
        if (!IsQuiet(OthersShare))
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Other programs took {OthersShare:P0} of the machine during a run: do not trust these times; no file is written."));
        else if (document is not null)
            BenchmarkDocument.Replace(document, Suite, Section);
        foreach (Goal goal in Goals)
            output.WriteLine(goal);
        return Goals.All(goal => goal.Met) ? 0 : 1;
    }
}
