using OnnxLlm.Serving.Caching;
using OnnxLlm.Serving.Metrics;

namespace OnnxLlm.Tests.Serving;

public sealed class PromptTokensTests
{
    private readonly ServingMetrics _metrics = new();

    [Fact]
    public async Task Prompt_AskedAgain_IsKnownWhateverElseIsAsked()
    {
        await using var server = await TestServer.StartAsync();
        var first = await server.CompleteAsync(new() { ["max_tokens"] = 1, ["seed"] = 1 });
        var again = await server.PostAsync("/v2/models/org%2Ftoy/generate", new() { ["text_input"] = "Once upon", ["max_tokens"] = 1, ["seed"] = 1 });
        Assert.Equal((string?)first["choices"]![0]!["text"], (string?)again["text_output"]);
        Assert.Equal((1, 1), (server.Metrics.TokenizerHits.Value(), server.Metrics.TokenizerMisses.Value()));
    }

    [Fact]
    public void Text_LargerThanTheCache_IsNotKept()
    {
        using var prompts = new PromptTokens(TestServer.Tokenizer, _metrics, bytes: 2000);
        foreach (var text in new[] { "short", new string('x', 1000), "short", new string('x', 1000) })
            Assert.Equal(TestServer.Tokenizer.EncodePrompt(text), prompts.Of(text));
        Assert.Equal((1, 3), (_metrics.TokenizerHits.Value(), _metrics.TokenizerMisses.Value()));
    }
}
