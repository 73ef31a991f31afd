using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace OnnxLlm.Tests.Serving;

/// <summary>Greets as Redis does, says what a test wants to whoever asks it for a value, and takes every value and forgets it.</summary>
internal sealed class FakeRedis : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private int _asked;

    public FakeRedis()
    {
        _listener.Start();
        _ = ListenAsync();
    }

    public Uri Address => new($"redis://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/");

    /// <summary>The whole answer to GET, as it goes over the wire; null for none, ever.</summary>
    public string? Answer { get; set; } = "$-1\r\n";

    public int Asked => Volatile.Read(ref _asked);

    /// <summary>A value that there is, of bytes.</summary>
    public static string Value(string text) => $"${text.Length}\r\n{text}\r\n";

    public void Dispose()
    {
        _end.Cancel();
        _listener.Stop();
        _end.Dispose();
    }

    private async Task ListenAsync()
    {
        try
        {
            while (true) _ = AnswerAsync(await _listener.AcceptTcpClientAsync(_end.Token));
        }
        catch (Exception end) when (end is OperationCanceledException or SocketException)
        {
        }
    }

    private async Task AnswerAsync(TcpClient client)
    {
        using var _ = client;
        using var reader = new StreamReader(client.GetStream(), Encoding.Latin1);       // a character is a byte
        try
        {
            while (await CommandAsync(reader) is { } command)
                if (AnswerTo(command) is { } answer) await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(answer), _end.Token);
        }
        catch (Exception end) when (end is OperationCanceledException or IOException)
        {
        }
    }

    private async Task<string[]?> CommandAsync(StreamReader reader)
    {
        if (await reader.ReadLineAsync(_end.Token) is not { } head) return null;
        var command = new string[Count(head)];
        for (var i = 0; i < command.Length; i++)
        {
            var part = new char[Count((await reader.ReadLineAsync(_end.Token))!)];
            await reader.ReadBlockAsync(part, _end.Token);
            await reader.ReadLineAsync(_end.Token);
            command[i] = new string(part);
        }

        return command;
    }

    private string? AnswerTo(string[] command)
    {
        switch (command[0].ToUpperInvariant())
        {
            case "GET":
                Interlocked.Increment(ref _asked);
                return Answer;
            case "ECHO": return Value(command[1]);
            case "PING": return "+PONG\r\n";
            case "HELLO" or "CONFIG" or "INFO" or "CLUSTER" or "SENTINEL": return "-ERR unknown command\r\n";      // as a very old one
            default: return "+OK\r\n";
        }
    }

    private static int Count(string line) => int.Parse(line.AsSpan(1), CultureInfo.InvariantCulture);
}
