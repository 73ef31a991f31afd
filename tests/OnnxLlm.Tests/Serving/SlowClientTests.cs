using System.Net;
using System.Net.Sockets;
using System.Text;

namespace OnnxLlm.Tests.Serving;

/// <summary>Clients that send or read as slowly as they can hold up nobody else, and not for long. These tests wait for the server's own patience, here a second or two.</summary>
public sealed class SlowClientTests
{
    private const string Head = "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

    [Fact]
    public async Task Heads_ThatNeverEnd_AreHungUpOnWhileOthersAreAnswered()
    {
        await using var server = await ImpatientAsync();
        var slow = Enumerable.Range(0, 100).Select(_ => DribbleAsync(server, "GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Slow: ")).ToArray();
        for (var i = 0; i < 20; i++) await server.CompleteAsync(new() { ["max_tokens"] = 3, ["seed"] = i });
        foreach (var answer in await Task.WhenAll(slow)) Assert.True(answer.Length == 0 || answer.StartsWith("HTTP/1.1 408", StringComparison.Ordinal), answer);
        await server.CompleteAsync([]);
    }

    [Fact]
    public async Task Body_ThatComesByteByByte_Is408()
    {
        await using var server = await ImpatientAsync();
        var answer = await DribbleAsync(server, Head + "Content-Length: 100000\r\n\r\n{\"model\":\"");
        Assert.StartsWith("HTTP/1.1 408", answer, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"request_timeout\"", answer, StringComparison.Ordinal);
        Assert.Equal(0, server.Engine.Running);
        await server.CompleteAsync([]);
    }

    [Fact]
    public async Task Body_ThatComesSteadilyWithoutEnd_Is408()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { Limits = options.Limits with { BodyTime = TimeSpan.FromSeconds(1) } });
        var answer = await DribbleAsync(server, Head + "Content-Length: 4000000\r\n\r\n{\"model\":\"", new string('a', 1000));      // 20 KB/s, far above the slowest rate
        Assert.StartsWith("HTTP/1.1 408", answer, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"request_timeout\"", answer, StringComparison.Ordinal);
        Assert.Contains("Connection: close", answer, StringComparison.Ordinal);
        await server.CompleteAsync([]);
    }

    [Fact]
    public async Task Connections_BeyondTheLimit_AreClosedUntilOthersEnd()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { Limits = options.Limits with { Connections = 8 } });
        TcpClient[] idle = [.. await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => ConnectAsync(server)))];
        foreach (var connection in idle) Assert.StartsWith("HTTP/1.1 200", await HealthAsync(connection), StringComparison.Ordinal);
        using (var further = await ConnectAsync(server)) Assert.Empty(await HealthAsync(further));
        Assert.StartsWith("HTTP/1.1 200", await HealthAsync(idle[3]), StringComparison.Ordinal);
        foreach (var connection in idle) connection.Dispose();
        Assert.True(SpinWait.SpinUntil(() => IsAnswered(server), TestServer.Patience));
    }

    [Fact]
    public async Task Reader_ThatReadsNothing_KeepsNoSlot()
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(slots: 1, maxLength: 4096));
        using var socket = await ConnectAsync(server);
        var body = """{"model":"org/toy","prompt":"x","max_tokens":4000,"ignore_eos":true,"stream":true}""";
        await socket.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"{Head}Content-Length: {body.Length}\r\n\r\n{body}"));
        await server.CompleteAsync(new() { ["max_tokens"] = 3 });
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Running == 0, TestServer.Patience));
    }

    [Fact]
    public async Task Stream_WhoseClientHasClosedItsHalf_FreesItsSlot()
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(slots: 1, maxLength: 8192));
        using var socket = await ConnectAsync(server);
        var body = """{"model":"org/toy","prompt":"x","max_tokens":8000,"ignore_eos":true,"stream":true}""";
        await socket.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"{Head}Content-Length: {body.Length}\r\n\r\n{body}"));
        Assert.True(await socket.GetStream().ReadAsync(new byte[64]).AsTask().WaitAsync(TestServer.Patience) > 0);
        socket.Client.Shutdown(SocketShutdown.Send);
        await server.CompleteAsync(new() { ["max_tokens"] = 3 });
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Running == 0, TestServer.Patience));
    }

    private static Task<TestServer> ImpatientAsync() => TestServer.StartAsync(change: options => options with
    {
        Limits = options.Limits with { HeadPatience = TimeSpan.FromSeconds(1), BodyPatience = TimeSpan.FromSeconds(1.5) },
    });

    private static bool IsAnswered(TestServer server)
    {
        using var connection = ConnectAsync(server).GetAwaiter().GetResult();
        return HealthAsync(connection).GetAwaiter().GetResult().StartsWith("HTTP/1.1 200", StringComparison.Ordinal);
    }

    /// <summary>All that comes back, up to the last of its chunks; nothing where the server closes.</summary>
    private static async Task<string> HealthAsync(TcpClient connection)
    {
        var buffer = new byte[4096];
        try
        {
            await connection.GetStream().WriteAsync("GET /health HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray());
            var answer = "";
            while (!answer.EndsWith("\r\n0\r\n\r\n", StringComparison.Ordinal) && await connection.GetStream().ReadAsync(buffer).AsTask().WaitAsync(TestServer.Patience) is > 0 and var read)
                answer += Encoding.ASCII.GetString(buffer, 0, read);
            return answer;
        }
        catch (IOException)
        {
            return "";
        }
    }

    private static async Task<TcpClient> ConnectAsync(TestServer server)
    {
        var socket = new TcpClient { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, server.Address.Port);
        return socket;
    }

    /// <summary>Sends the beginning, then a byte or another piece at a time, until the server answers or hangs up.</summary>
    private static async Task<string> DribbleAsync(TestServer server, string beginning, string piece = "a")
    {
        using var socket = await ConnectAsync(server);
        var stream = socket.GetStream();
        var buffer = new byte[4096];
        var answer = stream.ReadAsync(buffer).AsTask();
        try
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes(beginning));
            while (await Task.WhenAny(answer, Task.Delay(TimeSpan.FromMilliseconds(50))) != answer) await stream.WriteAsync(Encoding.ASCII.GetBytes(piece));
        }
        catch (IOException)
        {
            // Closed while it was being written to; what came before that is there all the same.
        }

        try
        {
            return Encoding.ASCII.GetString(buffer, 0, await answer.WaitAsync(TestServer.Patience));
        }
        catch (IOException)
        {
            return "";
        }
    }
}
