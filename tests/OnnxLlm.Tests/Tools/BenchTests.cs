using System.Text;
using System.Text.Json.Nodes;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Tests.Serving;
using OnnxLlm.Tests.Text;
using OnnxLlm.Tools;
using OnnxLlm.Tools.Measuring;

namespace OnnxLlm.Tests.Tools;

/// <summary><c>bench</c>: its arithmetic by hand, a package, a running server.</summary>
public sealed class BenchTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Percentiles_OfASample_InterpolateBetweenItsValues()
    {
        Assert.Equal(new(51, 51, 96, 100), Percentiles.Of(Enumerable.Range(1, 101).Reverse().Select(i => (double)i)));
        Percentiles two = Percentiles.Of([20, 10])!;
        Assert.Equal((15, 15, 19.5, 19.9), (two.Mean, two.P50, Math.Round(two.P95, 9), Math.Round(two.P99, 9)));
        Assert.Null(Percentiles.Of([]));
    }

    [Fact]
    public void AnswerTime_OfArrivals_HasTheTimeBeforeTheFirstAndTheGapsAfterIt()
    {
        long ms = TimeProvider.System.TimestampFrequency / 1000;
        AnswerTime answer = AnswerTime.Of(TimeProvider.System, 5 * ms, [25 * ms, 28 * ms, 38 * ms], tokens: 14);

        Assert.Equal((20, 13, 1), (answer.FirstMilliseconds, answer.RestMilliseconds, answer.TokenMilliseconds));
        Assert.Equal([3, 10], answer.Gaps);
    }

    [Theory]
    [InlineData("\n\n")]
    [InlineData("\r\n\r\n")]
    public void StreamedBody_Events_EndWhereTheirTextIsThere(string end)
    {
        string one = """data: {"choices":[{"text":"a"}]}""" + end, nothing = """data: {"choices":[{"text":""}]}""" + end, two = """data: {"choices":[{"text":"é"}]}""" + end;
        string usage = """data: {"choices":[],"usage":{"completion_tokens":3}}""" + end;
        StreamedBody body = StreamedBody.Read(Encoding.UTF8.GetBytes($"{one}{nothing}{two}{usage}data: [DONE]{end}"));

        Assert.Equal(3, body.Tokens);
        Assert.Equal([one.Length, one.Length + nothing.Length + two.Length + 1], body.Ends);
    }

    [Theory]
    [InlineData(7, 0, 28)]
    [InlineData(1, 9, 10)]
    [InlineData(3, 4, 18)]
    public void GeneratedFlops_EqualAHandCount(long tokens, long past, long pairs)
    {
        var config = new ModelConfig { Family = ModelFamily.Llama, VocabularySize = 50, Width = 64, Layers = 2, Heads = 4, KeyValueHeads = 2, FeedForward = 96, MaxPositions = 32 };
        // Queries, keys, values, outputs; gate, up, down: weights that every token meets. The head meets the last one only.
        long weights = 2 * (64 * 64 + 2 * 64 * 32 + 64 * 64 + 3 * 64 * 96);
        Assert.Equal(2.0 * weights * tokens + 2 * 64 * 50 + 2 * 4 * 64 * pairs, FlopCount.Generating(GenerationGraph.Create(config), tokens, past));
    }

    [Fact]
    public void Package_Measured_IsATableAndAFile()
    {
        using var package = new ServedPackage();
        var (code, output, error) = Run("bench", package.Folder, "--prompt-tokens", "5", "--tokens", "4", "--answers", "5", "--clients", "2", "--warm-up", "1", "--threads", "1", "--peak-gflops", "1000", "--out", _folder.File("bench.json"));

        Assert.Equal((0, ""), (code, error));
        Assert.Contains("6 answers of 4 tokens to prompts of 5, 2 at a time", output, StringComparison.Ordinal);
        Assert.Matches(@"inter-token, by answer( +[\d.]+){4}", output);
        JsonNode result = JsonNode.Parse(File.ReadAllText(_folder.File("bench.json")))!;
        double seconds = (double)result["seconds"]!;
        Assert.Equal(6 * 4 / seconds, (double)result["tokens_per_second"]!, 1e-9 / seconds);
        Assert.Equal(6 * 9 / seconds, (double)result["total_tokens_per_second"]!, 1e-9 / seconds);
        var graph = GenerationGraph.Create(ModelConfig.Load(Path.Combine(package.Folder, "config.json")));
        double operations = FlopCount.Generating(graph, 5, 0) + FlopCount.Generating(graph, 1, 5) + FlopCount.Generating(graph, 1, 6) + FlopCount.Generating(graph, 1, 7);
        Assert.Equal(6 * operations / seconds / 1e9, (double)result["gflops"]!, 1e-9 * operations / seconds);
        Assert.Equal((double)result["gflops"]! / 1000, (double)result["mfu"]!, 1e-12);
        foreach (string times in (string[])["first_token_ms", "inter_token_ms", "arrival_gap_ms"])
        {
            double[] shares = [(double)result[times]!["p50"]!, (double)result[times]!["p95"]!, (double)result[times]!["p99"]!];
            Assert.Equal(shares.Order(), shares);
            Assert.InRange(shares[0], double.Epsilon, seconds * 1e3);
        }
    }

    [Fact]
    public async Task Server_Measured_TellsItsModelAndItsTimes()
    {
        const string variable = "ONNXLLM_BENCH_TEST_KEY";
        Environment.SetEnvironmentVariable(variable, "secret");
        await using var server = await TestServer.StartAsync(change: options => options with { ApiKeys = ["secret"] });
        string[] arguments = ["bench", $"{server.Address}v1", "--prompt-tokens", "8", "--tokens", "6", "--answers", "4", "--clients", "2", "--warm-up", "0", "--key-variable", variable, "--out", _folder.File("bench.json")];
        var (code, output, error) = Run(arguments);

        Assert.Equal((0, ""), (code, error));
        Assert.StartsWith($"{TestServer.ModelId}: 4 answers of 6 tokens", output, StringComparison.Ordinal);
        JsonNode result = JsonNode.Parse(File.ReadAllText(_folder.File("bench.json")))!;
        Assert.True((double)result["inter_token_ms"]!["p50"]! > 0);
        Assert.Null(result["mfu"]);
        Assert.Equal(4 * 6, server.Metrics.GenerationTokens.Value());

        (code, _, error) = Run([.. arguments[..^4]]);
        Assert.Equal((2, $"error: {server.Address}v1/models answered 401.\n"), (code, error));
        (code, _, error) = Run([.. arguments, "--prompt-tokens", "1000"]);
        Assert.Equal(2, code);
    }

    [Fact]
    public void Mistakes_AreOneLine()
    {
        using var package = new ServedPackage();
        Assert.Equal((2, "", "error: The model has room for 128 tokens; prompt and answer together have 129.\n"), Run("bench", package.Folder, "--prompt-tokens", "100", "--tokens", "29"));
        Assert.Equal((2, "", "error: --clients must be at least 1; add --help to see what there is\n"), Run("bench", package.Folder, "--clients", "0"));
        Assert.Equal((2, "", "error: --key-variable: the environment has no ONNXLLM_NO_SUCH_KEY.\n"), Run("bench", "http://127.0.0.1:9", "--key-variable", "ONNXLLM_NO_SUCH_KEY"));
        var (code, _, error) = Run("bench", "http://127.0.0.1:9");
        Assert.Equal(2, code);
        Assert.Matches("^error: http://127.0.0.1:9/v1/models: .*\n$", error);
        (code, _, error) = Run("bench", _folder.File("nothing"));
        Assert.Equal((2, $"error: There is no folder {_folder.File("nothing")}.\n"), (code, error));
    }

    private static (int Code, string Output, string Error) Run(params string[] arguments)
    {
        using StringWriter output = new(), error = new();
        return (ToolsProgram.Run(arguments, output, error), output.ToString(), error.ToString());
    }
}
