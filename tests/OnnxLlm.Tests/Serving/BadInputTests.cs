using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;

namespace OnnxLlm.Tests.Serving;

/// <summary>What comes over the wire need not be HTTP, nor JSON, nor text, nor ever end. The server refuses it, and answers the next client as before.</summary>
public sealed class BadInputTests
{
    private const string Head = "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

    public static TheoryData<string, string> Requests => new()
    {
        { "garbage", "\0\u0001\u0002\u00ff\u00fe garbage\r\n\r\n" },
        { "a TLS greeting", "\u0016\u0003\u0001\u0002\0\u0001\0\u0001\u00fc\u0003\u0003" + new string('x', 200) + "\r\n\r\n" },
        { "HTTP of long ago", "GET /\r\n\r\n" },
        { "a version that is none", "GET / HTTP/9.9\r\nHost: x\r\n\r\n" },
        { "two lengths", Head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" },
        { "a length that is none", Head + "Content-Length: two\r\n\r\n{}" },
        { "a negative length", Head + "Content-Length: -2\r\n\r\n{}" },
        { "chunks of nonsense", Head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n" },
        { "a header that does not end", "GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + new string('a', 70_000) + "\r\n\r\n" },
        { "a thousand headers", "GET / HTTP/1.1\r\nHost: x\r\n" + string.Concat(Enumerable.Range(0, 1000).Select(i => $"X-{i}: 1\r\n")) + "\r\n" },
        { "an address that goes up", "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n" },
        { "a null in the address", "GET /v1/models/%00 HTTP/1.1\r\nHost: x\r\n\r\n" },
        { "a key that is no UTF-8", "GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \u00ff\u00fe\r\n\r\n" },
    };

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task Request_ThatIsNone_IsRefused(string what, string request)
    {
        await using var server = await TestServer.StartAsync(change: options => options with { ApiKeys = what == "a key that is no UTF-8" ? ["right"] : [] });
        var answer = await SendAsync(server, Encoding.Latin1.GetBytes(request));
        Assert.True(answer.Length == 0 || answer.StartsWith("HTTP/1.1 4", StringComparison.Ordinal) || answer.StartsWith("HTTP/1.1 505", StringComparison.Ordinal), $"{what}: {answer}");
        Assert.Equal("""{"status":"ok"}""", await HealthAsync(server));
    }

    [Theory]
    [InlineData("{\"model\":\"org/toy\",\"prompt\":\"\u00ff\u00fe\u00c0\u0080\"}", "invalid_value", "prompt")]
    [InlineData("{\"model\":\"org/toy\",\"prompt\":\"\u00c0\u00af\"}", "invalid_value", "prompt")]                          // an overlong encoding
    [InlineData("{\"model\":\"org/toy\",\"prompt\":\"\u00e4\u00b8\"}", "invalid_value", "prompt")]                          // half a character
    [InlineData("{\"model\":\"\u00ff\",\"prompt\":\"x\"}", "invalid_value", "model")]
    [InlineData("{\"model\":\"org/toy\",\"prompt\":\"x\",\"stop\":[\"\u00ed\u00a0\u0080\"]}", "invalid_value", "stop")]    // half a surrogate pair
    [InlineData("{\"model\":\"org/toy\",\"\u00ff\":1,\"prompt\":3}", "invalid_value", "prompt")]
    [InlineData("{\"model\":\"org/toy\",\"prompt\":\"x\",\"guided_json\":{\"title\":\"\u00ff\"}}", "invalid_value", "guided_json")]
    [InlineData("\u00ff\u00fe{\"model\":\"org/toy\"}", "invalid_json", null)]
    public Task Body_ThatIsNoUtf8_Is400WithAnError(string latin, string code, string? param) => AssertRefusedAsync("/v1/completions", latin, code, param);

    [Theory]
    [InlineData("{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"p\u00ff\":{}}}")]
    [InlineData("{\"name\":\"f\",\"description\":\"\u00ff\"}")]
    public Task Tool_ThatIsNoUtf8_Is400WithAnError(string latin) => AssertRefusedAsync(
        "/v1/chat/completions", $"{{\"model\":\"org/toy\",\"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}],\"tools\":[{{\"type\":\"function\",\"function\":{latin}}}]}}", "invalid_value", "tools[0]");

    private static async Task AssertRefusedAsync(string route, string latin, string code, string? param)
    {
        await using var server = await TestServer.StartAsync();
        using var content = new ByteArrayContent(Encoding.Latin1.GetBytes(latin));
        content.Headers.ContentType = new("application/json");
        using var response = await server.Http.PostAsync(route, content);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = JsonNode.Parse(await response.Content.ReadAsByteArrayAsync())!["error"]!;
        Assert.Equal(("invalid_request_error", code, param), ((string?)error["type"], (string?)error["code"], (string?)error["param"]));
        Assert.NotEmpty((string)error["message"]!);
    }

    [Fact]
    public async Task Body_OfVeryDeepJson_Is400()
    {
        await using var server = await TestServer.StartAsync();
        var refusal = await server.SendAsync("/v1/completions", new string('[', 100_000));
        Assert.Equal(HttpStatusCode.BadRequest, refusal.StatusCode);
        Assert.Equal("invalid_json", (string?)JsonNode.Parse(await refusal.Content.ReadAsStringAsync())!["error"]!["code"]);
    }

    [Theory]
    [InlineData("a request without an end", "POST /v1/compl")]
    [InlineData("a body that stops half way", Head + "Content-Length: 500\r\n\r\n{\"model\":\"org/toy\",")]
    [InlineData("a chunk that stops half way", Head + "Transfer-Encoding: chunked\r\n\r\n40\r\n{\"model\"")]
    public async Task Client_ThatHangsUpInTheMiddle_IsForgotten(string what, string request)
    {
        await using var server = await TestServer.StartAsync();
        var answer = await SendAsync(server, Encoding.Latin1.GetBytes(request), hangUp: true);
        Assert.True(answer.Length == 0 || answer.StartsWith("HTTP/1.1 4", StringComparison.Ordinal), $"{what}: {answer}");
        Assert.Equal(0, server.Engine.Running);
        Assert.Equal("""{"status":"ok"}""", await HealthAsync(server));
    }

    [Fact]
    public async Task Client_ThatClosesItsHalf_LosesItsSlotOrGetsItsAnswer()
    {
        await using var server = await TestServer.StartAsync();
        var answer = await SendAsync(server, Encoding.Latin1.GetBytes(Body("""{"model":"org/toy","prompt":"x","max_tokens":20,"ignore_eos":true}""")), hangUp: true);
        Assert.True(answer.Length == 0 || answer.StartsWith("HTTP/1.1 200", StringComparison.Ordinal), answer);
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Running == 0, TestServer.Patience));
    }

    private static string Body(string json) => $"{Head}Content-Length: {json.Length}\r\n\r\n{json}";

    /// <summary>Sends bytes, and reads what comes until the server closes or has answered.</summary>
    /// <param name="hangUp">The client says that nothing more will come.</param>
    private static async Task<string> SendAsync(TestServer server, byte[] request, bool hangUp = false)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, server.Address.Port);
        var stream = socket.GetStream();
        try
        {
            await stream.WriteAsync(request);
            if (hangUp) socket.Client.Shutdown(SocketShutdown.Send);
            var buffer = new byte[4096];
            var read = await stream.ReadAsync(buffer).AsTask().WaitAsync(TestServer.Patience);
            return Encoding.Latin1.GetString(buffer, 0, read);
        }
        catch (IOException)
        {
            return "";          // closed while it was still being written to
        }
    }

    private static async Task<string> HealthAsync(TestServer server)
    {
        var body = JsonNode.Parse(await server.Http.GetStringAsync("/health"))!;
        return $$"""{"status":"{{body["status"]}}"}""";
    }
}
