using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>A load balancer before two replicas, with its configuration of <c>deploy</c>.</summary>
internal sealed class Balancer : IDisposable
{
    private readonly BackgroundProgram _program;

    private Balancer(string name, int port, Func<string, string[]> arguments)
    {
        _program = new BackgroundProgram(name, arguments);
        Http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = ServerProcess.Patience };
    }

    public HttpClient Http { get; }

    public static Balancer Nginx(Uri first, Uri second)
    {
        var port = FreePort.Find();
        return new Balancer("nginx", port, folder => ["-p", folder, "-g", "daemon off;", "-c", Configure(
            folder, "nginx.conf", ("server-a:8080", first.Authority), ("server-b:8080", second.Authority), ("listen 8000", $"listen 127.0.0.1:{port}"), ("/tmp/", $"{folder}/"), ("worker_processes auto", "worker_processes 1"))]);
    }

    public static Balancer Haproxy(Uri first, Uri second)
    {
        var port = FreePort.Find();
        return new Balancer("haproxy", port, folder => ["-db", "-f", Configure(
            folder, "haproxy.cfg", ("server-a:8080", first.Authority), ("server-b:8080", second.Authority), ("bind :8000", $"bind 127.0.0.1:{port}"))]);
    }

    public Task ReadyAsync() => _program.UntilAsync(async () => (await Http.GetAsync("/health/ready")).IsSuccessStatusCode);

    public void Dispose()
    {
        Http.Dispose();
        _program.Dispose();
    }

    /// <summary>The file of the repository with this test's addresses and folder.</summary>
    private static string Configure(string folder, string name, params (string There, string Here)[] changes)
    {
        var text = File.ReadAllText(Repository.PathOf("deploy", Path.GetFileNameWithoutExtension(name), name));
        foreach (var (there, here) in changes)
        {
            Assert.Contains(there, text, StringComparison.Ordinal);
            text = text.Replace(there, here, StringComparison.Ordinal);
        }

        var path = Path.Combine(folder, name);
        File.WriteAllText(path, text);
        return path;
    }
}
