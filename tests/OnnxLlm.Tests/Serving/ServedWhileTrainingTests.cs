using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tests.Tools;
using OnnxLlm.Tests.Training;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Serving;

/// <summary>The runner and the server as processes side by side: what is trained is exported now and then, and served while training goes on.</summary>
public sealed class ServedWhileTrainingTests : IDisposable
{
    private const string Text = "the people of the United States and the Congress of the people ";

    private readonly Workshop _workshop = new();

    public void Dispose() => _workshop.Dispose();

    [Fact]
    public async Task Checkpoints_AreServedWhileTheNextIsTrained()
    {
        using var training = Train();
        try
        {
            _ = training.StandardOutput.ReadToEndAsync();       // or its pipe would fill up
            await UntilAsync(() => Export());
            using var server = new ServerProcess("--model", _workshop.At("served"), "--urls", "http://127.0.0.1:0", "--threads", "1", "--watch-seconds", "1");
            using var http = new HttpClient { BaseAddress = server.Address(), Timeout = ServerProcess.Patience };
            server.IgnoreLog();

            // Everybody is answered, whatever is loaded meanwhile.
            using var enough = new CancellationTokenSource();
            var served = new ConcurrentDictionary<string, bool>();
            var asking = Task.WhenAll(Enumerable.Range(0, 3).Select(_ => AskAsync(http, served, enough.Token)));
            await UntilAsync(() =>
            {
                Export();
                return asking.IsFaulted || served.Count == 3;
            });
            await enough.CancelAsync();
            await asking;
            Assert.False(training.HasExited, training.HasExited ? await training.StandardError.ReadToEndAsync() : "");
        }
        finally
        {
            training.Kill();
            await training.WaitForExitAsync();
        }
    }

    private Process Train()
    {
        var tokens = _workshop.Tokenizer.Encode(string.Concat(Enumerable.Repeat(Text, 100)));
        using (var writer = new ShardWriter(_workshop.At("words"), new()
        {
            VocabularySize = _workshop.Tokenizer.VocabularySize,
            Separator = _workshop.Tokenizer.Special.Eos!.Value,
            TokenizerHash = _workshop.Tokenizer.Hash,
            CorpusHash = "none",
        }))
        {
            writer.Add(Split.Train, "a", tokens);
            writer.Add(Split.Valid, "b", tokens.AsSpan(..300));
            writer.Finish();
        }
        return RunnerProcessTests.Start(
        [
            "train", Repository.PathOf("training", "configs", "tiny.json"), "--run", _workshop.At("run"), "--set", $"data={_workshop.At("words")}", "threads=1", "steps=1000000",
            FormattableString.Invariant($"model.vocab_size={_workshop.Tokenizer.VocabularySize}"), "checkpoint_every=100", "evaluate_every=0", "log_every=1000",
        ]);
    }

    /// <summary>False where there is no checkpoint yet, or where it went while it was read.</summary>
    private bool Export() => _workshop.Run("export", "--run", "@run", "--checkpoint", "latest", "--out", "@served", "--tokenizer", "@data/tokenizer").Code == 0;

    private static async Task AskAsync(HttpClient http, ConcurrentDictionary<string, bool> served, CancellationToken enough)
    {
        while (!enough.IsCancellationRequested)
        {
            using var response = await http.PostAsJsonAsync("/v1/completions", new { model = "served", prompt = "the people", max_tokens = 5, ignore_eos = true }, CancellationToken.None);
            var text = await response.Content.ReadAsStringAsync(CancellationToken.None);
            Assert.True(response.IsSuccessStatusCode, $"{response.StatusCode}: {text}");
            var answer = JsonNode.Parse(text)!;
            Assert.Equal(5, (int)answer["usage"]!["completion_tokens"]!);
            served.TryAdd((string)answer["system_fingerprint"]!, true);
        }
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (var waited = Stopwatch.StartNew(); !condition();)
        {
            Assert.True(waited.Elapsed < ServerProcess.Patience, "Nothing came of it in two minutes.");
            await Task.Delay(TimeSpan.FromMilliseconds(200));
        }
    }
}
