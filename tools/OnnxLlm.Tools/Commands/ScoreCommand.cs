using System.CommandLine;
using System.Globalization;
using OnnxLlm.Tools.Evaluation.Texts;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>score --hypotheses FILE --references FILE [FILE …]</c></summary>
internal static class ScoreCommand
{
    private static readonly Dictionary<string, ScoreTokenization> Tokenizations = new()
    {
        ["13a"] = ScoreTokenization.Mteval13a,
        ["zh"] = ScoreTokenization.Zh,
        ["char"] = ScoreTokenization.Char,
        ["none"] = ScoreTokenization.None,
    };

    public static Command Create()
    {
        var hypotheses = new Option<string>("--hypotheses") { Description = "Text file with a generated text per line.", Required = true };
        var references = new Option<string[]>("--references") { Description = "Text files with what was expected, line by line.", Required = true, AllowMultipleArgumentsPerToken = true };
        var tokenize = new Option<string>("--tokenize") { Description = "How words are found: 13a, zh, char or none.", DefaultValueFactory = _ => "13a" };
        var command = new Command("score", "Compare generated texts with references: BLEU, ROUGE-1, ROUGE-2 and ROUGE-L.") { hypotheses, references, tokenize };
        command.SetAction(parsed =>
        {
            var tokenization = Tokenization(parsed.GetRequiredValue(tokenize));
            string[] lines = Lines(parsed.GetRequiredValue(hypotheses));
            string[][] expected = [.. parsed.GetRequiredValue(references).Select(file => Matching(file, lines.Length, parsed.GetRequiredValue(hypotheses)))];
            Show(parsed.InvocationConfiguration.Output, lines, expected, tokenization);
        });
        return command;
    }

    private static void Show(TextWriter output, string[] hypotheses, string[][] references, ScoreTokenization tokenization)
    {
        var bleu = BleuScore.Of(hypotheses, references, tokenization);
        Line($"BLEU     {bleu.Value:0.00}   {string.Join(" / ", bleu.Precisions.Select(p => p.ToString("0.0", CultureInfo.InvariantCulture)))}, brevity penalty {bleu.BrevityPenalty:0.000}, {bleu.HypothesisLength} words against {bleu.ReferenceLength}");
        bool chinese = tokenization == ScoreTokenization.Zh;
        foreach (int n in (int[])[1, 2]) Rouge($"ROUGE-{n}", RougeScore.N(n, hypotheses, references, chinese));
        Rouge("ROUGE-L", RougeScore.L(hypotheses, references, chinese));

        void Rouge(string name, RougeScore score) => Line($"{name}  {score.F:0.0000}  precision {score.Precision:0.0000}, recall {score.Recall:0.0000}");
        void Line(FormattableString text) => output.WriteLine(text.ToString(CultureInfo.InvariantCulture));
    }

    private static ScoreTokenization Tokenization(string name) => Tokenizations.TryGetValue(name, out var tokenization)
        ? tokenization
        : throw new ToolException($"--tokenize: '{name}' is none of {string.Join(", ", Tokenizations.Keys)}.");

    private static string[] Matching(string file, int lines, string hypotheses) => Lines(file) is var found && found.Length == lines
        ? found
        : throw new ToolException($"'{file}' has {found.Length} lines, '{hypotheses}' has {lines}; each line needs its reference.");

    private static string[] Lines(string file) => File.ReadAllLines(file) is { Length: > 0 } lines ? lines : throw new ToolException($"'{file}' is empty.");
}
