using System.Reflection;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using OnnxLlm.Serving.Metrics;

namespace OnnxLlm.Serving.Api;

/// <summary>Every route of the server.</summary>
internal static class Routes
{
    public static void MapRoutes(this IEndpointRouteBuilder app)
    {
        var (models, generation, health) = (app.Service<ModelEndpoints>(), app.Service<GenerationEndpoint>(), app.Service<HealthEndpoints>());

        // Many users give the base address without /v1.
        foreach (var version in new[] { "/v1", "" })
        {
            app.MapGet($"{version}/models", models.ListAsync);
            app.MapGet($"{version}/models/{{**id}}", models.GetAsync);
            app.MapPost($"{version}/completions", generation.CompleteAsync);
            app.MapPost($"{version}/chat/completions", generation.ChatAsync);
        }

        app.MapGet("/health/live", health.LiveAsync).WithMetadata(new OpenToAll());
        foreach (var ready in new[] { "/health", "/health/ready", "/ping" })
            app.MapGet(ready, health.ReadyAsync).WithMetadata(new OpenToAll());

        app.MapGet("/version", context => JsonResponse.WriteAsync(context, new JsonObject { ["version"] = Version() }));
        app.MapMetrics();
    }

    private static void MapMetrics(this IEndpointRouteBuilder app)
    {
        var (metrics, model) = (app.Service<ServingMetrics>(), app.Service<ServedModel>());
        var route = app.MapGet("/metrics", context =>
        {
            context.Response.ContentType = PrometheusText.ContentType;
            return context.Response.WriteAsync(metrics.Write(model.Id), context.RequestAborted);
        });
        if (app.Service<ServerOptions>().OpenMetrics) route.WithMetadata(new OpenToAll());
    }

    private static T Service<T>(this IEndpointRouteBuilder app) where T : notnull => app.ServiceProvider.GetRequiredService<T>();

    private static string Version() =>
        typeof(Routes).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown";
}
