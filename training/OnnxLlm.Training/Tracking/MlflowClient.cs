using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace OnnxLlm.Training.Tracking;

/// <summary>The calls of MLflow's REST API (2.0) that a run needs.</summary>
internal sealed class MlflowClient(HttpClient http) : IDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <summary>Signs in with MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, where they are set.</summary>
    public static MlflowClient Connect(string server)
    {
        var http = new HttpClient { BaseAddress = new Uri(server.TrimEnd('/') + "/api/2.0/mlflow/"), Timeout = Timeout };
        if (Environment.GetEnvironmentVariable("MLFLOW_TRACKING_TOKEN")?.Trim() is { Length: > 0 } token) http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        else if (Environment.GetEnvironmentVariable("MLFLOW_TRACKING_USERNAME") is { Length: > 0 } user)
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue(
                "Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{Environment.GetEnvironmentVariable("MLFLOW_TRACKING_PASSWORD")}")));
        return new MlflowClient(http);
    }

    public Uri Server => http.BaseAddress!;

    /// <summary>The id of the experiment of that name, which is made where there is none.</summary>
    public async Task<string> Experiment(string name, CancellationToken stop)
    {
        using var found = await http.GetAsync($"experiments/get-by-name?experiment_name={Uri.EscapeDataString(name)}", stop).ConfigureAwait(false);
        return found.StatusCode == HttpStatusCode.NotFound
            ? Text((await Post("experiments/create", new JsonObject { ["name"] = name }, stop).ConfigureAwait(false))["experiment_id"])
            : Text((await Body(found, stop).ConfigureAwait(false))["experiment"]?["experiment_id"]);
    }

    public async Task<string> CreateRun(string experiment, string name, long start, CancellationToken stop)
    {
        var tags = new JsonArray(new JsonObject { ["key"] = "mlflow.runName", ["value"] = name });
        var body = new JsonObject { ["experiment_id"] = experiment, ["run_name"] = name, ["start_time"] = start, ["tags"] = tags };
        return Text((await Post("runs/create", body, stop).ConfigureAwait(false))["run"]?["info"]?["run_id"]);
    }

    public Task LogParameters(string run, IEnumerable<(string Key, string Value)> parameters, CancellationToken stop) =>
        Post("runs/log-batch", new JsonObject { ["run_id"] = run, ["params"] = new JsonArray([.. parameters.Select(p => new JsonObject { ["key"] = p.Key, ["value"] = p.Value })]) }, stop);

    public Task LogMetrics(string run, IEnumerable<MlflowMetric> metrics, CancellationToken stop) => Post(
        "runs/log-batch",
        new JsonObject
        {
            ["run_id"] = run,
            ["metrics"] = new JsonArray([.. metrics.Select(m => new JsonObject { ["key"] = m.Key, ["value"] = m.Value, ["timestamp"] = m.Time, ["step"] = m.Step })]),
        },
        stop);

    /// <param name="end">Milliseconds since 1970; null while it runs.</param>
    public Task SetStatus(string run, string status, long? end, CancellationToken stop) =>
        Post("runs/update", new JsonObject { ["run_id"] = run, ["status"] = status, ["end_time"] = end }, stop);

    public void Dispose() => http.Dispose();

    private async Task<JsonObject> Post(string path, JsonObject body, CancellationToken stop)
    {
        using var response = await http.PostAsJsonAsync(path, body, stop).ConfigureAwait(false);
        return await Body(response, stop).ConfigureAwait(false);
    }

    private static string Text(JsonNode? id) => id?.ToString() ?? throw new JsonException("the answer has no id");

    private static async Task<JsonObject> Body(HttpResponseMessage response, CancellationToken stop)
    {
        var text = await response.Content.ReadAsStringAsync(stop).ConfigureAwait(false);
        if (response.IsSuccessStatusCode) return JsonNode.Parse(text) as JsonObject ?? throw new JsonException("the answer is no JSON object");
        throw new HttpRequestException($"it answered {(int)response.StatusCode} {text.ReplaceLineEndings(" ")[..Math.Min(200, text.Length)]}", null, response.StatusCode);
    }
}

/// <summary>One value, with its time in milliseconds since 1970.</summary>
internal sealed record MlflowMetric(string Key, double Value, long Time, long Step);
