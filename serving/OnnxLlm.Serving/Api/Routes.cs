using System.Reflection;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Serving.Models;
using OnnxLlm.Serving.Playground;
using OnnxLlm.Serving.Safety;

namespace OnnxLlm.Serving.Api;

/// <summary>Every route of the server.</summary>
internal static class Routes
{
    public static void MapRoutes(this IEndpointRouteBuilder app)
    {
        // Many users give the base address without /v1.
        foreach (var version in new[] { "/v1", "" }) app.MapOpenAi(version);
        app.MapHealth();
        app.MapInferenceProtocol();
        app.MapAdministration();
        app.MapMetrics();
        if (app.Service<ServerOptions>().Playground) app.MapPlayground();
        app.MapGet("/version", context => JsonResponse.WriteAsync(context, new JsonObject { ["version"] = Version() })).Says("The server's version.");
        app.MapGet("/openapi.json", OpenApi.WriteAsync);
    }

    public static string Version() =>
        typeof(Routes).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown";

    private static void MapOpenAi(this IEndpointRouteBuilder app, string version)
    {
        var (models, generation, tokenizer) = (app.Service<ModelEndpoints>(), app.Service<GenerationEndpoint>(), app.Service<TokenizerEndpoints>());
        app.MapGet($"{version}/models", models.ListAsync).Says("The models that are loaded.");
        app.MapGet($"{version}/models/{{**id}}", models.GetAsync).Says("One of them.");
        app.MapPost($"{version}/completions", generation.CompleteAsync).WithMetadata(new Metered()).Says("Continues a text.", BodySchemas.Completion);
        app.MapPost($"{version}/chat/completions", generation.ChatAsync).WithMetadata(new Metered()).Says("Answers in a conversation.", BodySchemas.Chat);
        app.MapPost($"{version}/responses", app.Service<ResponsesEndpoint>().RespondAsync).WithMetadata(new Metered()).Says("Answers in a conversation, in the form of newer clients; nothing is stored.", BodySchemas.Respond);
        app.MapPost($"{version}/embeddings", app.Service<EmbeddingsEndpoint>().EmbedAsync).WithMetadata(new Metered()).Says("A vector for each text.", BodySchemas.Embed);
        app.MapPost($"{version}/fill-mask", app.Service<FillMaskEndpoint>().FillAsync).WithMetadata(new Metered()).Says("What may stand in the place of each mask, by an encoder.", BodySchemas.FillMask);
        app.MapPost($"{version}/classify", app.Service<ClassifyEndpoint>().ClassifyAsync).WithMetadata(new Metered()).Says("The label of each text, by an encoder.", BodySchemas.Classify);
        app.MapPost($"{version}/seq2seq", app.Service<Seq2SeqEndpoint>().WriteAsync).WithMetadata(new Metered()).Says("A text for each text, by an encoder-decoder.", BodySchemas.Seq2Seq);
        app.MapPost($"{version}/tokenize", tokenizer.TokenizeAsync).Says("The tokens of a text or a conversation.", BodySchemas.Tokenize);
        app.MapPost($"{version}/detokenize", tokenizer.DetokenizeAsync).Says("The text of tokens.", BodySchemas.Detokenize);
        app.MapPost($"{version}/moderations", app.Service<ModerationEndpoint>().AnswerAsync).Says("What the content filter finds in texts.", BodySchemas.Moderate);
        app.MapGet($"{version}/tokenizer_info", tokenizer.InfoAsync).Says("The tokenizer of a model: of the first one, or of the one that the query names with model=.");
    }

    private static void MapHealth(this IEndpointRouteBuilder app)
    {
        var health = app.Service<HealthEndpoints>();
        foreach (var live in new[] { "/health/live", "/v2/health/live" })
            app.MapGet(live, health.LiveAsync).WithMetadata(new OpenToAll()).Says("Whether the process can still do its work.");
        foreach (var ready in new[] { "/health", "/health/ready", "/ping", "/v2/health/ready" })
            app.MapGet(ready, health.ReadyAsync).WithMetadata(new OpenToAll()).Says("Whether it can do it now, by a forward pass.");
    }

    private static void MapInferenceProtocol(this IEndpointRouteBuilder app)
    {
        var (protocol, generate) = (app.Service<InferenceProtocolEndpoints>(), app.Service<GenerateEndpoint>());
        app.MapGet("/v2", InferenceProtocolEndpoints.ServerAsync).Says("The server, by the Open Inference Protocol.");
        foreach (var model in new[] { "/v2/models/{model}", "/v2/models/{model}/versions/1" })
        {
            app.MapGet(model, protocol.ModelAsync).Says("A model's inputs and outputs.");
            app.MapGet($"{model}/ready", protocol.ReadyAsync).Says("Whether a model answers.");
            app.MapGet($"{model}/stats", protocol.StatisticsAsync).Says("What a model has done so far.");
            app.MapPost($"{model}/infer", app.Service<InferEndpoint>().InferAsync).WithMetadata(new Metered()).Says("The scores of tokens.", BodySchemas.Infer);
            app.MapPost($"{model}/generate", generate.WholeAsync).WithMetadata(new Metered(), new TextProfile()).Says("Continues a text.", BodySchemas.Generate);
            app.MapPost($"{model}/generate_stream", generate.StreamAsync).WithMetadata(new Metered(), new TextProfile()).Says("Continues a text, piece by piece.", BodySchemas.Generate);
        }

        app.MapPost("/v2/repository/index", protocol.IndexAsync).Says("All models and their states.");
        app.MapPost("/v2/repository/models/{model}/load", protocol.LoadAsync).WithMetadata(new AdminOnly()).Says("Loads a model anew.");
        app.MapPost("/v2/repository/models/{model}/unload", protocol.UnloadAsync).WithMetadata(new AdminOnly()).Says("Takes a model out of service.");
    }

    private static void MapAdministration(this IEndpointRouteBuilder app)
    {
        var admin = app.Service<AdminEndpoints>();
        app.MapPost("/admin/models/{id}/reload", admin.ReloadAsync).WithMetadata(new AdminOnly()).Says("Loads a model anew; the old one serves until the new one does.");
        app.MapPost("/admin/models/{id}/unload", admin.UnloadAsync).WithMetadata(new AdminOnly()).Says("Takes a model out of service.");
        app.MapPost("/admin/cache/reset", admin.ResetCachesAsync).WithMetadata(new AdminOnly()).Says("Forgets the answers and the beginnings of prompts that are kept.");
        app.MapPost("/admin/drain", admin.DrainAsync).WithMetadata(new AdminOnly()).Says("Ends the server once what runs is done.");
    }

    private static void MapMetrics(this IEndpointRouteBuilder app)
    {
        var (registry, options) = (app.Service<ModelRegistry>(), app.Service<ServerOptions>());
        var gpu = GpuMonitor.Open(Device.Parse(options.Device));
        Func<string, IEnumerable<string>>? aliases = options.VllmMetrics ? VllmNames.Of : null;
        var route = app.MapGet("/metrics", context =>
        {
            context.Response.ContentType = PrometheusText.ContentType;
            var text = ServingMetrics.Write([.. registry.Entries.Select(entry => (entry.Id, entry.Metrics))], aliases) + GpuMetrics.Text(gpu?.Read());
            return context.Response.WriteAsync(text, context.RequestAborted);
        });
        route.Says("Metrics in Prometheus' text format.");
        if (options.OpenMetrics) route.WithMetadata(new OpenToAll());
    }

    private static void MapPlayground(this IEndpointRouteBuilder app)
    {
        // The page is open, so that it can ask for the key; what it shows is not.
        var playground = app.Service<PlaygroundEndpoints>();
        foreach (var file in PageFile.All) app.MapGet(file.Name == "index.html" ? "/" : $"/playground/{file.Name}", file.WriteAsync).WithMetadata(new OpenToAll()).Says("The page for people, or a part of it.");
        app.MapGet("/playground/models", playground.ModelsAsync).Says("The models that are loaded, with what is known about them.");
        app.MapGet("/playground/live", playground.LiveAsync).Says("What the models are doing, every second, as events.");
    }

    private static void Says(this IEndpointConventionBuilder route, string summary, string? body = null) => route.WithMetadata(new Documented(summary, body));

    private static T Service<T>(this IEndpointRouteBuilder app) where T : notnull => app.ServiceProvider.GetRequiredService<T>();
}
