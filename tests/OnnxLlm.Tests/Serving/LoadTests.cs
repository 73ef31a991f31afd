using System.Globalization;
using System.Text.RegularExpressions;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tests.Text;

namespace OnnxLlm.Tests.Serving;

/// <summary>The server under the load of a program that is not ours.</summary>
public sealed partial class LoadTests
{
    private const int Tokens = 8;

    /// <summary>Asks for whole answers and streams in turn, and counts the answers that are all there.</summary>
    private static readonly string Script = $$"""
        local threads = {}
        local body = '{"model":"package","prompt":"Once","max_tokens":{{Tokens}},"ignore_eos":true,"stream":%s}'
        function setup(thread) table.insert(threads, thread) end
        function init(arguments)
          wrk.method, wrk.path, wrk.headers["Content-Type"] = "POST", "/v1/completions", "application/json"
          whole, bodies = 0, { [0] = wrk.format(nil, nil, nil, body:format("false")), wrk.format(nil, nil, nil, body:format("true")) }
          turn = 0
        end
        function request()
          turn = 1 - turn
          return bodies[turn]
        end
        function response(status, headers, text)
          if text:find('"completion_tokens":{{Tokens}}', 1, true) or text:sub(-14) == "data: [DONE]\n\n" then whole = whole + 1 end
        end
        function done(summary, latency, requests)
          local all, errors = 0, summary.errors
          for _, thread in ipairs(threads) do all = all + thread:get("whole") end
          io.write(string.format("answers %d whole %d socket %d timeout %d status %d\n", summary.requests, all, errors.connect + errors.read + errors.write, errors.timeout, errors.status))
        end
        """;

    [Needs("wrk")]
    public async Task ThirtyTwoClients_OfWrk_AreAllAnswered_AndCounted()
    {
        using var package = new ServedPackage();
        using var script = new TemporaryFolder();
        using var server = new ServerProcess("--model", package.Folder, "--urls", "http://127.0.0.1:0", "--threads", "1", "--cache-mb", "0");
        using var http = new HttpClient { BaseAddress = server.Address(), Timeout = ServerProcess.Patience };
        server.IgnoreLog();
        script.Write("post.lua", Script);
        var (code, output) = await InstalledProgram.RunAsync("wrk", "-t2", "-c32", "-d4s", "--timeout", "60s", "-s", script.File("post.lua"), http.BaseAddress.ToString());
        Assert.True(code == 0, output);

        var told = Told().Match(output);
        Assert.True(told.Success, output);
        int[] numbers = [.. told.Groups.Values.Skip(1).Select(group => int.Parse(group.Value, CultureInfo.InvariantCulture))];
        Assert.True(numbers is [> 32, _, 0, 0, 0] && numbers[0] == numbers[1], output);

        // What is under way when wrk ends is counted as well; nothing else is.
        var scrape = await http.GetStringAsync("/metrics");
        Assert.InRange(Value(scrape, """onnxllm_http_requests_total\{model_name="package",route="/v1/completions",method="POST",status="200"\}"""), numbers[0], numbers[0] + 32);
        Assert.InRange(Value(scrape, """onnxllm_generation_tokens_total\{model_name="package"\}"""), Tokens * numbers[0], Tokens * (numbers[0] + 32));
        Assert.DoesNotMatch("""route="/v1/completions",method="POST",status="[^2]""", scrape);
    }

    private static long Value(string scrape, string sample) => long.Parse(Regex.Match(scrape, $"{sample} (\\d+)\n").Groups[1].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"answers (\d+) whole (\d+) socket (\d+) timeout (\d+) status (\d+)")]
    private static partial Regex Told();
}
