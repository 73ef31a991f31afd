using System.Text.Json;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tests.Text;
using OnnxLlm.Tools;
using OnnxLlm.Tools.Evaluation.Texts;

namespace OnnxLlm.Tests.Tools;

/// <summary>
/// BLEU and ROUGE of twenty corpora ≡ what sacrebleu (its repository's head, 2026) and Google's rouge_score functions gave for them; the first is the
/// example of sacrebleu's own documentation, 48.53. For Chinese, rouge_score was given characters as tokens.
/// </summary>
public sealed class TextScoreTests
{
    private const double Tolerance = 1e-9;

    private static readonly JsonSerializerOptions Names = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private static readonly Case[] All = JsonSerializer.Deserialize<Case[]>(
        File.ReadAllBytes(Repository.PathOf("tests", "OnnxLlm.Tests", "Tools", "Recorded", "scores.json")), Names)!;

    public static TheoryData<int> Cases => [.. Enumerable.Range(0, All.Length)];

    [Fact]
    public void Recorded_AreTwentyCases_WithChineseAmongThem() => Assert.Equal((20, 4), (All.Length, All.Count(c => c.Tokenize == "zh")));

    [Theory]
    [MemberData(nameof(Cases))]
    public void Bleu_OfACorpus_EqualsSacrebleu(int i)
    {
        var score = BleuScore.Of(All[i].Hypotheses, All[i].References, Tokenization(All[i].Tokenize));

        Assert.Equal(All[i].Bleu, score.Value, Tolerance);
        Assert.Equal(All[i].BrevityPenalty, score.BrevityPenalty, Tolerance);
        Assert.All(All[i].Precisions.Zip(score.Precisions), pair => Assert.Equal(pair.First, pair.Second, Tolerance));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Rouge_OfACorpus_EqualsRougeScore(int i)
    {
        var (c, chinese) = (All[i], All[i].RougeTokens == "zh");
        Same(c.Rouge1, RougeScore.N(1, c.Hypotheses, c.References, chinese));
        Same(c.Rouge2, RougeScore.N(2, c.Hypotheses, c.References, chinese));
        Same(c.RougeL, RougeScore.L(c.Hypotheses, c.References, chinese));

        static void Same(double[] expected, RougeScore actual)
        {
            Assert.Equal(expected[0], actual.Precision, Tolerance);
            Assert.Equal(expected[1], actual.Recall, Tolerance);
            Assert.Equal(expected[2], actual.F, Tolerance);
        }
    }

    [Fact]
    public void Command_PrintsScores_AndRefusesFilesThatDoNotMatch()
    {
        using var folder = new TemporaryFolder();
        string hypotheses = Write(folder, "out.txt", All[0].Hypotheses), first = Write(folder, "first.txt", All[0].References[0]), second = Write(folder, "second.txt", All[0].References[1]);

        var (code, output, _) = Run("score", "--hypotheses", hypotheses, "--references", first, second);

        Assert.Equal(0, code);
        Assert.StartsWith("BLEU     48.53   82.4 / 50.0 / 45.5 / 37.5, brevity penalty 0.943, 17 words against 18\nROUGE-1  0.6389  precision ", output.ReplaceLineEndings("\n"), StringComparison.Ordinal);
        string shorter = Write(folder, "short.txt", ["one line"]);
        Assert.Equal((2, $"error: '{shorter}' has 1 lines, '{hypotheses}' has 3; each line needs its reference."), Mistake("score", "--hypotheses", hypotheses, "--references", shorter));
        Assert.Equal((2, "error: --tokenize: '13b' is none of 13a, zh, char, none."), Mistake("score", "--hypotheses", hypotheses, "--references", first, "--tokenize", "13b"));
    }

    private static ScoreTokenization Tokenization(string name) => name switch
    {
        "zh" => ScoreTokenization.Zh,
        "char" => ScoreTokenization.Char,
        "none" => ScoreTokenization.None,
        _ => ScoreTokenization.Mteval13a,
    };

    private static string Write(TemporaryFolder folder, string name, string[] lines)
    {
        string path = Path.Combine(folder.Path, name);
        File.WriteAllLines(path, lines);
        return path;
    }

    private static (int Code, string Error) Mistake(params string[] arguments)
    {
        var (code, _, error) = Run(arguments);
        return (code, error.TrimEnd());
    }

    private static (int Code, string Output, string Error) Run(params string[] arguments)
    {
        using StringWriter output = new(), error = new();
        int code = ToolsProgram.Run(arguments, output, error);
        return (code, output.ToString(), error.ToString());
    }

    private sealed record Case(
        string Tokenize, string[] Hypotheses, string[][] References, double Bleu, double[] Precisions, double BrevityPenalty, string RougeTokens,
        [property: System.Text.Json.Serialization.JsonPropertyName("rouge_1")] double[] Rouge1,
        [property: System.Text.Json.Serialization.JsonPropertyName("rouge_2")] double[] Rouge2,
        double[] RougeL);
}
