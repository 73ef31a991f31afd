using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>Two server processes behind nginx that share answers in Redis, as in the Compose file.</summary>
public sealed class SharedReplicasTests
{
    private const int Attempts = 3;

    [Needs("nginx", "redis-server")]
    public async Task AnswerOfOneReplica_IsGivenByTheOther_AndNoneIsLostWithAReplica()
    {
        using var redis = await RedisServer.StartAsync();
        using var package = new ServedPackage(maxPositions: 512);
        using var first = Start(package, redis);
        using var second = Start(package, redis);
        using HttpClient one = new() { BaseAddress = first.Address() }, other = new() { BaseAddress = second.Address() };
        first.IgnoreLog();
        second.IgnoreLog();
        using var balancer = Balancer.Nginx(one.BaseAddress, other.BaseAddress);
        await balancer.ReadyAsync();

        // Further prompts, because an answer may be asked for again before it has come to Redis.
        for (var prompt = 0; await SharedHitsAsync(one) + await SharedHitsAsync(other) == 0; prompt++)
        {
            Assert.InRange(prompt, 0, 100);
            var given = await AskAsync(balancer.Http, prompt);
            Assert.Equal("miss", given.State);
            for (var again = 0; again < 4; again++) Assert.Equal(given.Text, (await AskAsync(balancer.Http, prompt)).Text);
        }

        Assert.All(await Task.WhenAll(AskedAsync(one), AskedAsync(other)), asked => Assert.True(asked > 0));

        var clients = Enumerable.Range(1000, 16).Select(prompt => RetryAsync(balancer.Http, prompt)).ToArray();
        while (await RunningAsync(one) == 0) Assert.False(Array.TrueForAll(clients, client => client.IsCompleted));
        first.Process.Kill();
        var answers = await Task.WhenAll(clients);
        foreach (var (text, prompt) in answers.Select((text, i) => (text, 1000 + i))) Assert.Equal(text, (await AskAsync(other, prompt)).Text);
    }

    private static ServerProcess Start(ServedPackage package, RedisServer redis) =>
        new("--model", package.Folder, "--urls", "http://127.0.0.1:0", "--threads", "1", "--open-metrics", "--redis", redis.Address.AbsoluteUri);

    private static async Task<(string Text, string State)> AskAsync(HttpClient http, int prompt)
    {
        var body = $$"""{"model":"package","prompt":"Once {{prompt}}","temperature":0,"max_tokens":400,"ignore_eos":true}""";
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await http.PostAsync("/v1/completions", content);
        response.EnsureSuccessStatusCode();
        return ((string)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["choices"]![0]!["text"]!, response.Headers.GetValues("x-cache").Single());
    }

    /// <summary>As the clients of OpenAI do.</summary>
    private static async Task<string> RetryAsync(HttpClient http, int prompt)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return (await AskAsync(http, prompt)).Text;
            }
            catch (HttpRequestException) when (attempt < Attempts)
            {
            }
        }
    }

    private static Task<long> SharedHitsAsync(HttpClient replica) => ValueAsync(replica, "onnxllm_shared_cache_hits_total{model_name=\"package\"}");

    private static Task<long> RunningAsync(HttpClient replica) => ValueAsync(replica, "onnxllm_num_requests_running{model_name=\"package\"}");

    private static Task<long> AskedAsync(HttpClient replica) => ValueAsync(replica, "onnxllm_http_requests_total{model_name=\"package\",route=\"/v1/completions\",method=\"POST\",status=\"200\"}");

    private static async Task<long> ValueAsync(HttpClient replica, string sample) =>
        long.Parse(Regex.Match(await replica.GetStringAsync("/metrics"), $"{Regex.Escape(sample)} (\\d+)\n").Groups[1].Value, CultureInfo.InvariantCulture);
}
