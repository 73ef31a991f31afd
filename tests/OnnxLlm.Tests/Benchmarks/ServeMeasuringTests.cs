using System.Text;
using OnnxLlm.Benchmarks;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Serve;
using OnnxLlm.Tools;
using OnnxLlm.Tools.Measuring;

namespace OnnxLlm.Tests.Benchmarks;

public sealed class ServeMeasuringTests
{
    private const string Piece = """data: {"choices":[{"text":"a","finish_reason":null}],"usage":null}""";
    private const string Usage = """data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":7,"total_tokens":107}}""";

    [Fact]
    public void AnswerTime_Rates_CountTheTokensOfTheirTime()
    {
        var answer = new AnswerTime(FirstMilliseconds: 120, RestMilliseconds: 80, Tokens: 5);

        Assert.Equal(50, answer.StreamRate, 12);
        Assert.Equal(25, answer.WholeRate, 12);
    }

    [Fact]
    public void Prompts_OfOneSeed_AreTheSameRowOfDifferentPrompts()
    {
        var prompts = new Prompts(vocabulary: 4096, seed: 1);
        int[] first = prompts.Next(), second = prompts.Next();

        Assert.Equal(first, new Prompts(4096, 1).Next());
        Assert.NotEqual(first, second);
        Assert.Equal(Prompts.Length, first.Length);
    }

    [Fact]
    public void StreamedBody_Complete_TellsTheGeneratedTokens() => Assert.Equal(7, Body(Piece, Piece, Usage, "data: [DONE]").Tokens);

    [Theory]
    [InlineData(Piece, Usage)]
    [InlineData(Piece, "data: [DONE]")]
    [InlineData(Piece, """data: {"error":{"message":"broken"}}""")]
    public void StreamedBody_Incomplete_IsRefused(params string[] events) => Assert.Throws<ToolException>(() => Body(events));

    [Fact]
    public void ServeResult_OfRounds_IsTheMedianOfTheirRatiosAndTheSlowestFirstToken()
    {
        var result = new ServeResult([Round(10, 9), Round(20, 12), Round(40, 32)]);

        Assert.Equal(
            ["RESULT serve_stream_ratio 0.8 goal >= 0.8 met", "RESULT serve_first_token_ms 30 goal <= 200 met", "RESULT serve_overhead_us_per_token 1.11E+04 goal <= 50 missed"],
            result.Goals.Select(goal => $"{goal}"));
    }

    [Fact]
    public void ServeResult_OfABusyMachine_MeetsNoGoal() =>
        Assert.DoesNotContain(new ServeResult([Round(10, 9) with { Ours = Run(9, othersShare: 0.06) }]).Goals, goal => goal.Met);

    [Theory]
    [InlineData(0.05, true)]
    [InlineData(0.06, false)]
    public void Publication_OfABusyMachine_WritesNoDocument(double othersShare, bool written)
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        int code = new Publication("x", "section", othersShare, [Goal.Least("y", 2, 1), Goal.Least("z", 0, 1)]).To(TextWriter.Null, path);

        Assert.Equal(1, code);
        Assert.Equal(written, File.Exists(path));
        File.Delete(path);
    }

    private static StreamedBody Body(params string[] events) => StreamedBody.Read(Encoding.UTF8.GetBytes(string.Concat(events.Select(e => $"{e}\n\n"))));

    private static Round<ServeRun> Round(double bare, double served) => new(Run(bare), Run(served));

    private static ServeRun Run(double rate, double othersShare = 0) =>
        new([new AnswerTime(30, 10 / rate * 1e3, Tokens: 11)], [], PeakBytes: 1, othersShare);
}
