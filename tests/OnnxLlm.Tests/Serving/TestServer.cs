using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OnnxLlm.Serving;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Serving.Models;
using OnnxLlm.Serving.Safety;
using OnnxLlm.Tests.Support;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Serving;

/// <summary>The real server with a toy for a model: Kestrel on a free port, spoken to over a socket.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    public const string ModelId = "org/toy";

    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly WebApplication _app;

    private TestServer(WebApplication app, ToyModel model, ConcurrentQueue<string> log)
    {
        (_app, Model, Log) = (app, model, log);
        Address = new Uri(app.Urls.Single());
        Http = new HttpClient { BaseAddress = Address, Timeout = Patience };
    }

    /// <summary>Small, so that answers of noise have many incomplete characters and few words.</summary>
    public static Tokenizer Tokenizer { get; } = BpeTrainer.Train(
        ["Once upon a time there was a small server. It said what it had read, and it said it once more.", "The stop is a word. The server stops."],
        new BpeSettings { VocabularySize = 300 });

    public ToyModel Model { get; }

    public ConcurrentQueue<string> Log { get; }

    public Uri Address { get; }

    public HttpClient Http { get; }

    public InferenceEngine Engine => ((DecoderModel)Service<ModelRegistry>().Default.Current!).Engine;

    public ServingMetrics Metrics => _app.Services.GetRequiredService<ServingMetrics>();

    public T Service<T>() where T : notnull => _app.Services.GetRequiredService<T>();

    /// <summary>A model that continues <paramref name="text"/> word for word.</summary>
    public static ParrotModel Parrot(string text, int maxLength = 256) => new(Tokenizer.Encode(text), Tokenizer.Special.Eos!.Value, Tokenizer.VocabularySize, maxLength: maxLength);

    public static NoiseModel Noise(int slots = 8, int maxLength = 256) => new(slots, maxLength, Tokenizer.VocabularySize);

    public static async Task<TestServer> StartAsync(
        ToyModel? model = null, Func<ServerOptions, ServerOptions>? change = null, string? template = "chatml", TimeProvider? time = null, Entropy? entropy = null,
        IReadOnlyList<ModelSource>? more = null, IReadOnlyList<IGuardrail>? guardrails = null, JsonObject? quantization = null)
    {
        model ??= Noise();
        var options = new ServerOptions { Model = "toy", Urls = ["http://127.0.0.1:0"] };
        options = change?.Invoke(options) ?? options;
        var served = Describe(ModelId, model, template) with { Aliases = ["gpt-anything"], Quantization = quantization };
        var log = new ConcurrentQueue<string>();
        var app = ServerHost.Build(options, [new ModelSource(served, model), .. more ?? []], time, entropy, logging => logging.SetMinimumLevel(LogLevel.Debug).AddProvider(new QueueLogger(log)), guardrails);
        await app.StartAsync();
        return new TestServer(app, model, log);
    }

    public static ServedModel Describe(string id, ToyModel model, string? template = "chatml", string fingerprint = "fp_000000000000") => new()
    {
        Id = id,
        Created = DateTimeOffset.FromUnixTimeSeconds(1763700000),
        Tokenizer = Tokenizer,
        Template = ChatTemplates.Find(template, Tokenizer),
        Context = model.MaxLength,
        EosToken = Tokenizer.Special.Eos,
        Fingerprint = fingerprint,
    };

    public async Task<HttpResponseMessage> SendAsync(string path, string body, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    /// <summary>Posts and expects the status.</summary>
    public async Task<JsonNode> PostAsync(string path, JsonObject body, HttpStatusCode expected = HttpStatusCode.OK)
    {
        using var response = await SendAsync(path, body.ToJsonString());
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == expected, $"{response.StatusCode}: {text}");
        return JsonNode.Parse(text)!;
    }

    public Task<JsonNode> CompleteAsync(JsonObject body, HttpStatusCode expected = HttpStatusCode.OK) =>
        PostAsync("/v1/completions", With(body, "prompt", "Once upon"), expected);

    public Task<JsonNode> ChatAsync(JsonObject body, HttpStatusCode expected = HttpStatusCode.OK) =>
        PostAsync("/v1/chat/completions", With(body, "messages", Messages("Hello")), expected);

    public static JsonArray Messages(string content) => [new JsonObject { ["role"] = "user", ["content"] = content }];

    /// <summary>The events of a stream as text, without "data: ".</summary>
    public async Task<string[]> StreamAsync(string path, JsonObject body)
    {
        body["stream"] = true;
        using var response = await SendAsync(path, With(body, "prompt", "Once upon").ToJsonString());
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var text = await response.Content.ReadAsStringAsync();
        return [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(line => line["data: ".Length..])];
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.DisposeAsync();
    }

    private static JsonObject With(JsonObject body, string name, JsonNode value)
    {
        if (!body.ContainsKey("model")) body["model"] = ModelId;
        if (!body.ContainsKey(name)) body[name] = value;
        return body;
    }

    /// <summary>Each line with what is around it, as the server's own log has it.</summary>
    private sealed class QueueLogger(ConcurrentQueue<string> lines) : ILoggerProvider, ILogger, ISupportExternalScope
    {
        private IExternalScopeProvider? _scopes;

        public ILogger CreateLogger(string categoryName) => this;

        public void SetScopeProvider(IExternalScopeProvider scopeProvider) => _scopes = scopeProvider;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => _scopes?.Push(state);

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var line = new StringBuilder($"{logLevel} {formatter(state, exception)} {exception}");
            _scopes?.ForEachScope((scope, text) => text.Append(' ').Append(scope is IEnumerable<KeyValuePair<string, object>> pairs ? string.Join(' ', pairs.Select(pair => $"{pair.Key}={pair.Value}")) : $"{scope}"), line);
            lines.Enqueue(line.ToString());
        }

        public void Dispose()
        {
        }
    }
}
