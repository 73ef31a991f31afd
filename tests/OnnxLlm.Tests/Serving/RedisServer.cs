using System.Net.Sockets;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>A real Redis with a password, and with the settings of the Compose file.</summary>
internal sealed class RedisServer : IDisposable
{
    private RedisServer(BackgroundProgram program, int port) => (Program, Address) = (program, new Uri($"redis://:open%20sesame@127.0.0.1:{port}/"));

    public BackgroundProgram Program { get; }

    public Uri Address { get; }

    /// <param name="at">The port; null for any.</param>
    public static async Task<RedisServer> StartAsync(int? at = null)
    {
        var port = at ?? FreePort.Find();
        var settings = DeploymentFile.Texts(DeploymentFile.At(DeploymentFile.Read("compose.yaml").Single(), "services", "redis", "command"));
        Assert.Equal("redis-server", settings[0]);
        var redis = new BackgroundProgram("redis-server", folder => [.. settings[1..], "--port", $"{port}", "--bind", "127.0.0.1", "--dir", folder, "--requirepass", "open sesame"]);
        await redis.UntilAsync(() => ListensAsync(port));
        return new RedisServer(redis, port);
    }

    public void Dispose() => Program.Dispose();

    private static async Task<bool> ListensAsync(int port)
    {
        using var probe = new TcpClient();
        try
        {
            await probe.ConnectAsync("127.0.0.1", port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
