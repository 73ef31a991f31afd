using System.Net;
using System.Text.Json.Nodes;
using OnnxLlm.Serving;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Models;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

public sealed class ModelRegistryTests
{
    private const string AdminKey = "admin";

    [Fact]
    public async Task Models_Several_AnswerByName()
    {
        var other = TestServer.Parrot("Once upon a time");
        await using var server = await TestServer.StartAsync(TestServer.Parrot("Once upon reading"), more: [new ModelSource(TestServer.Describe("other", other), other)]);
        Assert.Equal(" reading", (string?)(await server.CompleteAsync([]))["choices"]![0]!["text"]);
        Assert.Equal(" a time", (string?)(await server.CompleteAsync(new() { ["model"] = "other" }))["choices"]![0]!["text"]);
        var list = JsonNode.Parse(await server.Http.GetStringAsync("/v1/models"))!;
        Assert.Equal([TestServer.ModelId, "other"], list["data"]!.AsArray().Select(model => (string?)model!["id"]));
        Assert.Contains("onnxllm_generation_tokens_total{model_name=\"other\"}", await server.Http.GetStringAsync("/metrics"), StringComparison.Ordinal);
    }

    /// <summary>What quantization gained was measured when the package was made; a loss must not go unnoticed.</summary>
    [Theory]
    [InlineData(0.6249, "Warning model was measured to answer 0.62 times as fast quantized as unquantized on CPUExecutionProvider")]
    [InlineData(1.0, null)]
    [InlineData(2.1, null)]
    [InlineData(null, null)]
    public async Task Load_OfAModelThatQuantizationMadeSlower_IsWarnedOf(double? speedup, string? warning)
    {
        var model = TestServer.Noise();
        await using var server = await TestServer.StartAsync(more: [new ModelSource(TestServer.Describe("model", model) with { QuantizationSpeedup = speedup }, model)]);
        var warnings = server.Log.Where(line => line.Contains("times as fast", StringComparison.Ordinal)).ToArray();
        if (warning is null) Assert.Empty(warnings);
        else Assert.StartsWith(warning, Assert.Single(warnings), StringComparison.Ordinal);
    }

    /// <summary>Every answer, also one begun before a reload, is wholly the old or the new model's.</summary>
    [Fact]
    public async Task Reload_UnderLoad_FailsNoRequestAndEndsTheOldModels()
    {
        var loads = new List<CountedParrot>();
        var source = new ModelSource("live", Load, () => "");
        await using var server = await TestServer.StartAsync(change: Administered, more: [source]);
        using var enough = new CancellationTokenSource();
        var clients = Enumerable.Range(0, 4).Select(_ => AskUntilAsync(server, enough.Token)).ToArray();
        for (var i = 0; i < 8; i++)
            using (var reloaded = await server.SendAsync("/admin/models/live/reload", "", ("Authorization", $"Bearer {AdminKey}")))
                Assert.Equal(HttpStatusCode.OK, reloaded.StatusCode);
        enough.Cancel();
        var answers = (await Task.WhenAll(clients)).SelectMany(all => all).ToArray();
        Assert.Empty(answers.Except([" a time", " reading"]));
        Assert.Equal(9, loads.Count);
        Assert.True(SpinWait.SpinUntil(() => loads.Count(model => model.IsDisposed) == 8, TestServer.Patience), "Old models stay in memory.");

        (ServedModel, IDisposable) Load()
        {
            var model = new CountedParrot(loads.Count % 2 == 0 ? "Once upon a time" : "Once upon reading");
            loads.Add(model);
            return (TestServer.Describe("live", model, fingerprint: $"fp_{loads.Count}"), model);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reload_OfADamagedModel_LeavesTheOldOneServing(bool loads)
    {
        var isFirst = true;
        var source = new ModelSource("live", Load, () => "");
        await using var server = await TestServer.StartAsync(change: Administered, more: [source]);
        using var reloaded = await server.SendAsync("/admin/models/live/reload", "", ("Authorization", $"Bearer {AdminKey}"));
        Assert.Equal(HttpStatusCode.UnprocessableEntity, reloaded.StatusCode);
        Assert.Contains("damaged", await reloaded.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(" a time", (string?)(await server.CompleteAsync(new() { ["model"] = "live" }))["choices"]![0]!["text"]);

        (ServedModel, IDisposable) Load()
        {
            var model = TestServer.Parrot("Once upon a time");
            if (!isFirst && !loads) throw new ServingException("The folder is damaged.");
            if (!isFirst) model.BeforePass = () => throw new InvalidOperationException("damaged");
            isFirst = false;
            return (TestServer.Describe("live", model), model);
        }
    }

    [Fact]
    public async Task Unload_TakesTheModelAway_ReloadBringsItBack()
    {
        var source = new ModelSource("live", () => (TestServer.Describe("live", TestServer.Noise()), TestServer.Noise()), () => "");
        await using var server = await TestServer.StartAsync(change: Administered, more: [source]);
        (await server.SendAsync("/admin/models/live/unload", "", ("Authorization", $"Bearer {AdminKey}"))).Dispose();
        await server.CompleteAsync(new() { ["model"] = "live" }, HttpStatusCode.NotFound);
        (await server.SendAsync("/admin/models/live/reload", "", ("Authorization", $"Bearer {AdminKey}"))).Dispose();
        await server.CompleteAsync(new() { ["model"] = "live" });
    }

    [Fact]
    public async Task Model_OnItsWay_Is503UntilItIsThere()
    {
        using var slow = new SemaphoreSlim(1);
        await using var server = await TestServer.StartAsync(more: [new ModelSource("live", Load, () => "")]);
        var registry = server.Service<ModelRegistry>();
        registry.Unload(registry.Find("live")!);
        var loading = registry.ReloadAsync(registry.Find("live")!, default);
        using var refused = await server.SendAsync("/v1/completions", """{"model":"live","prompt":"x"}""");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "5"), (refused.StatusCode, refused.Headers.RetryAfter!.ToString()));
        Assert.Contains("\"model_loading\"", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        slow.Release();
        Assert.Equal("", await loading);
        await server.CompleteAsync(new() { ["model"] = "live" });

        (ServedModel, IDisposable) Load()
        {
            slow.Wait(TestServer.Patience);
            return (TestServer.Describe("live", TestServer.Noise()), TestServer.Noise());
        }
    }

    [Fact]
    public async Task Watch_OfAFolderWrittenAnew_ReloadsIt()
    {
        var time = new ManualTime();
        var stamp = "1";
        var loads = 0;
        var source = new ModelSource("live", () => (TestServer.Describe("live", TestServer.Noise(), fingerprint: $"fp_{++loads}"), TestServer.Noise()), () => stamp);
        await using var server = await TestServer.StartAsync(change: options => options with { WatchSeconds = 5 }, time: time, more: [source]);
        time.Advance(TimeSpan.FromSeconds(6));
        stamp = "2";
        // Time stands still while the new model is asked for its first token, which must not take long.
        Assert.True(SpinWait.SpinUntil(() => { time.Advance(TimeSpan.FromSeconds(6)); return Volatile.Read(ref loads) == 2; }, TestServer.Patience));
        Assert.True(SpinWait.SpinUntil(() => server.Service<ModelRegistry>().Find("live")!.Current!.Description.Fingerprint == "fp_2", TestServer.Patience));
    }

    /// <summary>The client goes away just when the new model has been loaded.</summary>
    [Fact]
    public async Task Reload_GivenUp_LeavesNothingBehindAndIsTriedAgain()
    {
        var stamp = "1";
        var loads = new List<CountedParrot>();
        using var gone = new CancellationTokenSource();
        await using var server = await TestServer.StartAsync(more: [new ModelSource("live", Load, () => stamp)]);
        var registry = server.Service<ModelRegistry>();
        stamp = "2";
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => registry.ReloadAsync(registry.Find("live")!, gone.Token));
        Assert.Equal([false, true], loads.Select(model => model.IsDisposed));
        Assert.Equal("1", registry.Find("live")!.Stamp);

        (ServedModel, IDisposable) Load()
        {
            if (loads.Count == 1) gone.Cancel();
            loads.Add(new CountedParrot("Once upon a time"));
            return (TestServer.Describe("live", loads[^1]), loads[^1]);
        }
    }

    [Fact]
    public async Task Watch_OfAFolderThatCannotBeRead_GoesOnWatching()
    {
        var (time, stamp, loads) = (new ManualTime(), "1", 0);
        await using var server = await TestServer.StartAsync(change: options => options with { WatchSeconds = 5 }, time: time, more: [new ModelSource("live", Load, () => stamp)]);
        foreach (var next in new[] { 2, 3 })
        {
            stamp = $"{next}";
            Assert.True(SpinWait.SpinUntil(() => { time.Advance(TimeSpan.FromSeconds(6)); return Volatile.Read(ref loads) == next; }, TestServer.Patience));
        }

        Assert.True(SpinWait.SpinUntil(() => server.Service<ModelRegistry>().Find("live")!.Current!.Description.Fingerprint == "fp_3", TestServer.Patience));
        Assert.Contains(server.Log, line => line.Contains("The disk is gone.", StringComparison.Ordinal));

        (ServedModel, IDisposable) Load()
        {
            var model = TestServer.Noise();
            return Interlocked.Increment(ref loads) == 2 ? throw new IOException("The disk is gone.") : (TestServer.Describe("live", model, fingerprint: $"fp_{loads}"), model);
        }
    }

    [Fact]
    public void Folders_OfOneName_AreRefused()
    {
        using var package = new ServedPackage();
        var sources = ModelLoader.Sources(new ServerOptions { Model = package.Folder, Models = [package.Folder, $"second={package.Folder}"] });
        Assert.Equal(["package", "second"], sources.Select(source => source.Id));
        Assert.Throws<ServingException>(() => ServerHost.Build(new ServerOptions { Model = "" }, [sources[0], sources[0]], logging: _ => { }));
    }

    private static ServerOptions Administered(ServerOptions options) => options with { AdminKeys = [AdminKey] };

    private static async Task<List<string>> AskUntilAsync(TestServer server, CancellationToken enough)
    {
        var answers = new List<string>();
        do answers.Add((string)(await server.CompleteAsync(new() { ["model"] = "live", ["temperature"] = 0.01 }))["choices"]![0]!["text"]!);
        while (!enough.IsCancellationRequested);
        return answers;
    }

    private sealed class CountedParrot(string text) : ToyModel(4, 256, TestServer.Tokenizer.VocabularySize)
    {
        private readonly ParrotModel _parrot = TestServer.Parrot(text);

        public bool IsDisposed { get; private set; }

        public override void Dispose()
        {
            base.Dispose();
            IsDisposed = true;
        }

        protected override void Score(ReadOnlySpan<int> history, Span<float> logits) => _parrot.Continue(history, logits);
    }
}
