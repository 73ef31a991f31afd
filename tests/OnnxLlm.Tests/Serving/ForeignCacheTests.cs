using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;

namespace OnnxLlm.Tests.Serving;

/// <summary>Whatever Redis says instead of an answer, the request is answered as without it.</summary>
public sealed class ForeignCacheTests
{
    private const string Delta = """{"Choice":0,"Text":"x","Scores":[],"Finish":1}""";
    private const string Counts = """{"PromptTokens":1,"CompletionTokens":1,"CachedTokens":0}""";

    /// <summary>Values that JSON can hold and the server would not have written.</summary>
    public static TheoryData<string> Values =>
    [
        "{}", "null", "[]", "1", "", "not JSON", "\0",
        """{"Deltas":null,"Usage":null}""",
        """{"Usage":{"PromptTokens":1,"CompletionTokens":1}}""",
        Whole(""), Whole("null"), Whole($"{Delta},{Delta}"),
        Whole(Delta, "null"), Whole(Delta, """{"PromptTokens":-1,"CompletionTokens":1}"""),
        Whole(Changed("Choice", "1")), Whole(Changed("Choice", "-1")), Whole(Changed("Text", "null")), Whole(Changed("Finish", "null")), Whole(Changed("Finish", "99")),
        Whole(Changed("Scores", "null")), Whole(Changed("Scores", "[null]")),
        Whole(Changed("Scores", """[{"Token":null,"LogProb":-1,"Top":[],"Offset":0}]""")),
        Whole(Changed("Scores", """[{"Token":{"Text":"x","Bytes":null},"LogProb":-1,"Top":[],"Offset":0}]""")),
        Whole(Changed("Scores", """[{"Token":{"Text":"x","Bytes":[120]},"LogProb":-1e999,"Top":[],"Offset":0}]""")),
        Whole(Changed("Scores", """[{"Token":{"Text":"x","Bytes":[120]},"LogProb":-1,"Top":[null],"Offset":0}]""")),
    ];

    /// <summary>Answers that are none of Redis' at all.</summary>
    public static TheoryData<string> Wires =>
    [
        "$2147483647\r\n", "$-2\r\n", "$99999999999999999999\r\nx", "$\r\n", ":5\r\n", "*1\r\n$1\r\nx\r\n", "-ERR no\r\n", "+OK\r\n", "\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", new string('x', 1100),
    ];

    [Theory]
    [MemberData(nameof(Values))]
    public Task Value_ThatIsNoAnswer_IsNotGiven(string value) => AskAsync(FakeRedis.Value(value));

    [Theory]
    [MemberData(nameof(Wires))]
    public Task Talk_ThatIsNotOfRedis_CostsNoAnswer(string answer) => AskAsync(answer);

    /// <summary>So that the others are refused for what is wrong with them alone.</summary>
    [Fact]
    public async Task Value_OfTheRightForm_IsGiven()
    {
        using var redis = new FakeRedis { Answer = FakeRedis.Value(Whole(Delta)) };
        var (text, state, hits) = await SendAsync(redis);
        Assert.Equal(("x", "hit", 1), (text, state, hits));
    }

    /// <summary>The second request does not wait for what the first has waited for in vain.</summary>
    [Fact]
    public async Task Redis_ThatHangs_IsLeftAlone()
    {
        using var redis = new FakeRedis { Answer = null };
        await using var server = await StartAsync(redis);
        for (var i = 0; i < 3; i++)
        {
            using var response = await server.SendAsync("/v1/completions", $$"""{"model":"org/toy","prompt":"Once {{i}}","temperature":0,"max_tokens":2}""");
            Assert.True(response.IsSuccessStatusCode);
        }

        Assert.Equal(1, redis.Asked);
    }

    [Theory]
    [InlineData("rediss", 0x16)]        // a handshake of TLS
    [InlineData("redis", '*')]          // a command
    public async Task Address_SaysWhetherTheTalkIsEncrypted(string scheme, int first)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var address = new Uri($"{scheme}://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/");
        await using var server = await TestServer.StartAsync(change: options => options with { SharedCache = address });
        using var response = await server.SendAsync("/v1/completions", """{"model":"org/toy","prompt":"Once","temperature":0,"max_tokens":2}""");
        Assert.True(response.IsSuccessStatusCode);
        using var client = await listener.AcceptTcpClientAsync().WaitAsync(TestServer.Patience);
        var begin = new byte[1];
        await client.GetStream().ReadExactlyAsync(begin).AsTask().WaitAsync(TestServer.Patience);
        Assert.Equal(first, begin[0]);
    }

    private static async Task AskAsync(string answer)
    {
        using var redis = new FakeRedis { Answer = answer };
        var (text, state, hits) = await SendAsync(redis);
        Assert.NotEqual("x", text);
        Assert.Equal(("miss", 0L, 1), (state, hits, redis.Asked));
    }

    private static Task<TestServer> StartAsync(FakeRedis redis) => TestServer.StartAsync(change: options => options with { SharedCache = redis.Address });

    private static async Task<(string Text, string State, long Hits)> SendAsync(FakeRedis redis)
    {
        await using var server = await StartAsync(redis);
        using var response = await server.SendAsync("/v1/completions", """{"model":"org/toy","prompt":"Once","temperature":0,"max_tokens":6,"ignore_eos":true,"logprobs":1}""");
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, body);
        return ((string)JsonNode.Parse(body)!["choices"]![0]!["text"]!, response.Headers.GetValues("x-cache").Single(), server.Metrics.SharedCacheHits.Value());
    }

    private static string Whole(string deltas, string usage = Counts) => $$"""{"Deltas":[{{deltas}}],"Usage":{{usage}}}""";

    /// <summary>The one piece of the answer, with another value in one place.</summary>
    private static string Changed(string name, string json) => Delta.Replace($"\"{name}\":{JsonNode.Parse(Delta)![name]?.ToJsonString()}", $"\"{name}\":{json}", StringComparison.Ordinal);
}
