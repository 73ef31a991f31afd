using System.CommandLine;
using System.Reflection;
using System.Text.RegularExpressions;
using OnnxLlm.Serving;
using OnnxLlm.Serving.Models;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

public sealed partial class CommandLineTests
{
    [Fact]
    public void Options_AsTyped_AreUnderstood()
    {
        var (options, _) = CommandLine.Parse(["--model", "models/x", "--urls", "http://127.0.0.1:9", "--slots", "4", "--kv-cache-mb", "3", "--max-length", "512", "--api-key", "a", "--api-key", "b", "--chat-template", "plain", "--cache-mb", "1", "--metrics-aliases", "vllm", "--dtype", "bfloat16"]);
        Assert.Equal(("models/x", 4, 512, "plain", 1L << 20), (options!.Model, options.Slots, options.MaxLength, options.ChatTemplate, options.CacheBytes));
        Assert.Equal(3L << 20, options.KeyValueBytes);
        Assert.Equal("http://127.0.0.1:9", Assert.Single(options.Urls));
        Assert.True(options.VllmMetrics);
        Assert.Equal("bfloat16", options.Dtype);
        Assert.Equal("a b", string.Join(' ', options.ApiKeys));
    }

    [Fact]
    public void Options_LeftOut_HaveTheirDefaults()
    {
        var (options, _) = CommandLine.Parse(["--model", "x"]);
        Assert.Equal((8, 30, null, 128), (options!.Slots, options.DrainSeconds, options.MaxLength, options.Engine.PrefillChunk));
        Assert.Equal(long.MaxValue, options.KeyValueBytes);
        Assert.Equal("http://127.0.0.1:8080", Assert.Single(options.Urls));
    }

    [Theory]
    [InlineData]
    [InlineData("--model", "x", "--slots", "0")]
    [InlineData("--model", "x", "--slots", "many")]
    [InlineData("--model", "x", "--no-such-option")]
    [InlineData("--model", "x", "stray")]
    [InlineData("--model", "x", "--metrics-aliases", "triton")]
    [InlineData("--model", "x", "--device", "cuda", "--dtype", "float32")]
    public void Options_Wrong_ExitWithTwo(params string[] args)
    {
        var (options, exitCode) = CommandLine.Parse(args);
        Assert.Null(options);
        Assert.Equal(2, exitCode);
    }

    /// <summary>Each in a row of one of its tables, and no other.</summary>
    [Fact]
    public void Options_AreAllInTheManual()
    {
        var options = typeof(CommandLine).GetFields(BindingFlags.NonPublic | BindingFlags.Static).Select(field => field.GetValue(null)).OfType<Option>().Select(option => option.Name);
        var rows = File.ReadAllLines(Repository.PathOf("docs", "howto", "serve.md")).Where(line => line.StartsWith("| `--", StringComparison.Ordinal));
        var told = rows.SelectMany(row => OptionName().Matches(row.Split('|')[1]).Select(match => match.Value));
        Assert.Equal(options.Order(StringComparer.Ordinal), told.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Address_InUse_IsOneClearLine()
    {
        await using var first = await TestServer.StartAsync();
        await using var second = Build(first.Address.ToString());
        var mistake = await Assert.ThrowsAsync<ServingException>(() => ServerRun.RunAsync(second));
        Assert.Contains("address already in use", mistake.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', mistake.Message);
    }

    [Fact]
    public async Task Model_ThatFailsItsFirstPass_IsOneClearLine()
    {
        var model = TestServer.Noise();
        model.BeforePass = () => throw new InvalidOperationException("injected");
        await using var app = Build("http://127.0.0.1:0", model);
        Assert.Contains("injected", (await Assert.ThrowsAsync<ServingException>(() => ServerRun.RunAsync(app))).Message, StringComparison.Ordinal);
    }

    private static Microsoft.AspNetCore.Builder.WebApplication Build(string url, Support.ToyModel? model = null) =>
        ServerHost.Build(
            new ServerOptions { Model = "x", Urls = [url] },
            [new ModelSource(TestServer.Describe("x", TestServer.Noise()), model ?? TestServer.Noise())],
            logging: _ => { });

    [GeneratedRegex("--[a-z-]+")]
    private static partial Regex OptionName();
}
