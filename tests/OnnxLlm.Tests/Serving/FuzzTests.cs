using System.Collections.Concurrent;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Routing;
using OnnxLlm.Serving.Models;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>Bodies from nearly right to nonsense, to every route that takes one: none breaks the server, and none is answered as if the server were to blame.</summary>
public sealed class FuzzTests
{
    private const int Requests = 10_000;

    [Fact]
    public async Task Fuzz_OfTenThousandBodies_NeverBreaksTheServer()
    {
        var spare = new ModelSource("spare", () => Spare(TestServer.Noise(maxLength: 64)), () => "");
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 64), options => options with { AdminKeys = ["admin"] }, more: [spare]);
        server.Http.DefaultRequestHeaders.Authorization = new("Bearer", "admin");
        var routes = Routes(server);
        var random = new Random(20251121);
        var statuses = new ConcurrentDictionary<(string Route, int Status), int>();
        var complaints = new ConcurrentQueue<string>();
        var requests = Enumerable.Range(0, Requests).Select(i => (Route: routes[i % routes.Length], Path: Path(random, routes[i % routes.Length]), Body: RequestFuzz.Body(random, routes[i % routes.Length]))).ToArray();
        await Parallel.ForEachAsync(requests, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (request, _) =>
            statuses.AddOrUpdate((request.Route, await SendAsync(server, request.Path, request.Body, complaints)), 1, (_, count) => count + 1));

        Assert.True(complaints.IsEmpty, string.Join('\n', complaints.Take(3).Concat(server.Log.Where(line => line.StartsWith("Error ", StringComparison.Ordinal)).Take(3))));
        foreach (var route in routes)
        {
            Assert.True(IsAlwaysRefused(route) || statuses.ContainsKey((route, 200)), $"{route} was never asked anything right.");
            Assert.True(statuses.Keys.Count(key => key.Route == route) > 1 || route == "/admin/cache/reset" || route.EndsWith("/index", StringComparison.Ordinal) || IsAlwaysRefused(route), $"{route} was never asked anything wrong.");
        }

        Assert.True(SpinWait.SpinUntil(() => server.Engine.Running == 0, TestServer.Patience));
        Assert.Equal(0, server.Metrics.EngineFaults.Value());
        Assert.DoesNotContain(server.Log, line => line.StartsWith("Error ", StringComparison.Ordinal));
    }

    /// <summary>Nothing is filtered here, and only a decoder is served; <see cref="FillMaskTests"/>, <see cref="ClassifyTests"/> and <see cref="Seq2SeqTests"/> ask others.</summary>
    private static bool IsAlwaysRefused(string route) => new[] { "/moderations", "/fill-mask", "/classify", "/seq2seq" }.Any(end => route.EndsWith(end, StringComparison.Ordinal));

    private static (ServedModel, ToyModel) Spare(ToyModel model) => (TestServer.Describe("spare", model), model);

    private static string[] Routes(TestServer server)
    {
        string[] routes = [.. server.Service<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(route => route.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods.Contains("POST") == true).Select(route => route.RoutePattern.RawText!)
            .Where(route => route != "/admin/drain")];         // it would be the last one
        Assert.InRange(routes.Length, 20, 100);
        return routes;
    }

    /// <summary>Only the spare model comes and goes.</summary>
    private static string Path(Random random, string route)
    {
        string[] names = route.Contains("load", StringComparison.Ordinal) ? ["spare", "spare", "none"] : ["org%2Ftoy", "org%2Ftoy", "org%2Ftoy", "spare", "none", "%C3%A9"];
        return route.Replace("{model}", names[random.Next(names.Length)], StringComparison.Ordinal).Replace("{id}", names[random.Next(names.Length)], StringComparison.Ordinal);
    }

    private static async Task<int> SendAsync(TestServer server, string path, byte[] body, ConcurrentQueue<string> complaints)
    {
        using var content = new ByteArrayContent(body);
        content.Headers.ContentType = new("application/json");
        using var response = await server.Http.PostAsync(path, content);
        var (status, text) = ((int)response.StatusCode, await response.Content.ReadAsStringAsync());
        if (!IsProper(status, text)) complaints.Enqueue($"{status} of {path} for {Encoding.UTF8.GetString(body)}: {text}");
        return status;
    }

    /// <summary>
    /// An answer without a failure in its stream, or a refusal with a message: the Open Inference Protocol has it where OpenAI has an object. A model that is being loaded,
    /// as the requests before asked for, is no failure either.
    /// </summary>
    private static bool IsProper(int status, string text)
    {
        if (status == 200) return !text.Contains("internal_error", StringComparison.Ordinal);
        if (status == 503) return text.Contains("is being loaded", StringComparison.Ordinal);
        if (status is < 400 or >= 500) return false;
        var error = JsonNode.Parse(text)!["error"]!;
        return (string?)(error is JsonObject described ? described["message"] : error) is { Length: > 0 };
    }
}
