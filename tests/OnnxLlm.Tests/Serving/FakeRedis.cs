using System.Net;
using System.Net.Sockets;
using System.Text;

namespace OnnxLlm.Tests.Serving;

/// <summary>Says what a test wants to whoever asks it for a value; takes every value and forgets it.</summary>
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

    /// <summary>The whole answer to GET, as it goes over the wire.</summary>
    public string Answer { get; set; } = "$-1\r\n";

    public int Asked => Volatile.Read(ref _asked);

    /// <summary>A value that there is.</summary>
    public static string Value(string text) => $"${Encoding.UTF8.GetByteCount(text)}\r\n{text}\r\n";

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

    /// <summary>A client sends a command in one piece and waits.</summary>
    private async Task AnswerAsync(TcpClient client)
    {
        using var _ = client;
        var (stream, buffer) = (client.GetStream(), new byte[1 << 20]);
        try
        {
            while (await stream.ReadAsync(buffer, _end.Token) is var length && length > 0)
            {
                var get = Encoding.UTF8.GetString(buffer, 0, length).Contains("\r\nGET\r\n", StringComparison.Ordinal);
                if (get) Interlocked.Increment(ref _asked);
                await stream.WriteAsync(Encoding.UTF8.GetBytes(get ? Answer : "+OK\r\n"), _end.Token);
            }
        }
        catch (Exception end) when (end is OperationCanceledException or IOException)
        {
        }
    }
}
