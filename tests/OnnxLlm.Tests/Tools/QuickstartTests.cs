using System.Net;
using System.Text;
using OnnxLlm.Tools;
using OnnxLlm.Tools.Quickstart;

namespace OnnxLlm.Tests.Tools;

public sealed class QuickstartTests : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly HttpClient _client = new();
    private readonly StringWriter _output = new();

    public void Dispose()
    {
        _listener.Close();
        _client.Dispose();
        _output.Dispose();
    }

    [Fact]
    public void CommandLine_WordsWithSpaces_AreQuotedForAShell() => Assert.Equal(
        "dotnet run -c Release --project tools/X -- ask 'a b' 'it'\\''s' ''", CommandLine.Project("tools/X", "ask", "a b", "it's", "").ToString());

    [Fact]
    public async Task Child_ExitCode_IsPassedOn()
    {
        using var interruption = new Interruption();
        using var child = Child.Start(new("dotnet", ["--no-such-option"]), Path.GetTempPath());
        Assert.NotEqual(0, await child.Wait(interruption));
        Assert.True(child.HasExited);
    }

    [Fact]
    public void Child_MissingProgram_IsOneClearLine() =>
        Assert.StartsWith("'no-such-program' cannot be started: ", Assert.Throws<ToolException>(() => Child.Start(new("no-such-program", []), ".")).Message, StringComparison.Ordinal);

    [Fact]
    public async Task Ask_Stream_IsPrintedPieceByPiece()
    {
        Serve("data: {\"choices\":[{\"text\":\" of the\"}]}\n\ndata: {\"choices\":[{\"text\":\" United States\"}]}\n\ndata: {\"choices\":[]}\n\ndata: [DONE]\n\n");
        await new Question("m", "The people").Ask(_client, _output, CancellationToken.None);
        Assert.Equal(" of the United States" + Environment.NewLine, _output.ToString());
    }

    [Fact]
    public async Task Ask_ServerRefuses_SaysWhatItSaid()
    {
        Serve("{\"error\":{\"message\":\"no such model\"}}", 404);
        var refusal = await Assert.ThrowsAsync<ToolException>(() => new Question("m", "x").Ask(_client, _output, CancellationToken.None));
        Assert.Equal("The server answered 404: {\"error\":{\"message\":\"no such model\"}}", refusal.Message);
    }

    [Fact]
    public void Curl_Question_CanBeTyped() => Assert.StartsWith(
        "curl -N http://127.0.0.1:8080/v1/completions -H 'Content-Type: application/json' -d '{\"model\":\"m\",\"prompt\":\"The people\"",
        new Question("m", "The people").Curl(new Uri("http://127.0.0.1:8080")), StringComparison.Ordinal);

    /// <summary>Answers one request on a free port.</summary>
    private void Serve(string body, int status = 200)
    {
        using (var probe = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0))
        {
            probe.Start();
            _client.BaseAddress = new Uri($"http://127.0.0.1:{((IPEndPoint)probe.LocalEndpoint).Port}/");
        }
        _listener.Prefixes.Add(_client.BaseAddress.ToString());
        _listener.Start();
        _ = Answer();

        async Task Answer()
        {
            var context = await _listener.GetContextAsync();
            context.Response.StatusCode = status;
            context.Response.ContentType = "text/event-stream";
            await context.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(body));
            context.Response.Close();
        }
    }
}
