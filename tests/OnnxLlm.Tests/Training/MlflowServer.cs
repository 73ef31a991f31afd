using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace OnnxLlm.Tests.Training;

/// <summary>An MLflow server in this process, as far as a run needs one: it answers and remembers every call.</summary>
internal sealed class MlflowServer : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly Task _serving;

    public MlflowServer()
    {
        Address = $"http://127.0.0.1:{FreePort()}";
        _listener.Prefixes.Add(Address + "/");
        _listener.Start();
        _serving = Task.Run(Serve);
    }

    public string Address { get; }

    public ConcurrentQueue<(string Path, JsonNode? Body)> Calls { get; } = [];

    /// <summary>What to answer instead of 200, by the number of the call.</summary>
    public Func<int, int> Status { get; init; } = _ => 200;

    /// <summary>What every call is answered with, instead of what MLflow would say.</summary>
    public string? Answer { get; init; }

    /// <summary>Answers wait for it.</summary>
    public Task Gate { get; init; } = Task.CompletedTask;

    public IEnumerable<JsonNode> Bodies(string path) => Calls.Where(c => c.Path == path).Select(c => c.Body!);

    public IEnumerable<JsonNode> Metrics => Bodies("runs/log-batch").SelectMany(b => b["metrics"]?.AsArray() ?? []).OfType<JsonNode>();

    public void Dispose()
    {
        _listener.Close();
        _serving.Wait();
    }

    /// <summary>A port that nobody listens on now.</summary>
    public static int FreePort()
    {
        using var socket = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        socket.Start();
        return ((IPEndPoint)socket.LocalEndpoint).Port;
    }

    private async Task Serve()
    {
        for (var call = 0; ; call++)
        {
            try
            {
                var context = await _listener.GetContextAsync();
                await Gate;
                await Respond(context, Status(call));
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task Respond(HttpListenerContext context, int status)
    {
        var path = context.Request.Url!.AbsolutePath.Replace("/api/2.0/mlflow/", "", StringComparison.Ordinal);
        using var reader = new StreamReader(context.Request.InputStream);
        var text = await reader.ReadToEndAsync();
        if (status == 200 && path == "experiments/get-by-name") status = 404;
        if (status is 200 or 404) Calls.Enqueue((path, text.Length > 0 ? JsonNode.Parse(text) : null));
        context.Response.StatusCode = status;
        await context.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(Answer ?? path switch
        {
            "experiments/create" => """{"experiment_id": "7"}""",
            "runs/create" => """{"run": {"info": {"run_id": "abc"}}}""",
            _ => "{}",
        }));
        context.Response.Close();
    }
}
