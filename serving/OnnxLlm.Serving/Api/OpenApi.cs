using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace OnnxLlm.Serving.Api;

/// <summary>What a route does, and what its body looks like, for the document at /openapi.json.</summary>
/// <param name="Summary">One line.</param>
/// <param name="Body">JSON schema of the request's body as text; null for routes without one.</param>
internal sealed record Documented(string Summary, string? Body = null);

/// <summary>Describes every route that says what it does, as an OpenAPI 3.1 document made from the routes themselves, so that it cannot miss one.</summary>
internal static class OpenApi
{
    public static Task WriteAsync(HttpContext context)
    {
        var routes = context.RequestServices.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>();
        return JsonResponse.WriteAsync(context, Document(routes));
    }

    private static JsonObject Document(IEnumerable<RouteEndpoint> routes)
    {
        var paths = new JsonObject();
        foreach (var group in routes.Where(route => route.Metadata.GetMetadata<Documented>() is not null).GroupBy(PathOf).OrderBy(group => group.Key, StringComparer.Ordinal))
            paths[group.Key] = new JsonObject(group.DistinctBy(MethodOf).Select(route => KeyValuePair.Create(MethodOf(route), (JsonNode?)Operation(route))));
        return new JsonObject
        {
            ["openapi"] = "3.1.0",
            ["info"] = new JsonObject { ["title"] = "OnnxLlm", ["version"] = Routes.Version(), ["description"] = "Language models over an OpenAI-compatible API, the Open Inference Protocol, and what operating them takes." },
            ["paths"] = paths,
            ["components"] = JsonNode.Parse(Components),
            ["security"] = new JsonArray(new JsonObject { ["key"] = new JsonArray() }),
        };
    }

    private static JsonObject Operation(RouteEndpoint route)
    {
        var documented = route.Metadata.GetRequiredMetadata<Documented>();
        var operation = new JsonObject { ["summary"] = documented.Summary, ["operationId"] = $"{MethodOf(route)}{PathOf(route).Replace('/', '_').Replace("{", "", StringComparison.Ordinal).Replace("}", "", StringComparison.Ordinal)}" };
        if (route.RoutePattern.Parameters.Count > 0)
            operation["parameters"] = new JsonArray([.. route.RoutePattern.Parameters.Select(parameter => new JsonObject { ["name"] = parameter.Name, ["in"] = "path", ["required"] = true, ["schema"] = new JsonObject { ["type"] = "string" } })]);
        if (documented.Body is { } body)
            operation["requestBody"] = new JsonObject { ["required"] = true, ["content"] = new JsonObject { ["application/json"] = new JsonObject { ["schema"] = JsonNode.Parse(body) } } };
        operation["responses"] = new JsonObject { ["200"] = new JsonObject { ["description"] = "Done." }, ["default"] = new JsonObject { ["$ref"] = "#/components/responses/Error" } };
        if (route.Metadata.GetMetadata<OpenToAll>() is not null) operation["security"] = new JsonArray();
        return operation;
    }

    private static string PathOf(RouteEndpoint route) => route.RoutePattern.RawText!.Replace("{**", "{", StringComparison.Ordinal);

    private static string MethodOf(RouteEndpoint route) => route.Metadata.GetRequiredMetadata<IHttpMethodMetadata>().HttpMethods[0].ToLowerInvariant();

    private const string Components = """
        {"securitySchemes":{"key":{"type":"http","scheme":"bearer"}},
         "responses":{"Error":{"description":"Why not.","content":{"application/json":{"schema":{"type":"object","properties":{"error":{"type":"object",
          "properties":{"message":{"type":"string"},"type":{"type":"string"},"param":{"type":["string","null"]},"code":{"type":["string","null"]}},
          "required":["message","type","param","code"]}},"required":["error"]}}}}}}
        """;
}
