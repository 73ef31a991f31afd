using Microsoft.Extensions.Logging.Abstractions;
using OnnxLlm.Runtime;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Tests.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>The encoder's loop without a server around it.</summary>
public sealed class EncoderEngineTests : IDisposable
{
    private readonly TinyPackage _package = new(TinyModel.Bert(TestServer.Tokenizer.VocabularySize), TestServer.Tokenizer);

    /// <summary>Texts wait while a run is under way; the next run takes as many as fit, padding counted.</summary>
    [Theory]
    [InlineData(8, 4096, 2)]
    [InlineData(4, 4096, 3)]
    [InlineData(8, 12, 3)]
    public async Task Engine_ReadsTogetherWhatFits(int rows, int tokens, int runs)
    {
        var metrics = new ServingMetrics();
        var session = new EncoderSession(ModelPackage.Open(_package.Folder), new SessionSettings { Threads = 1 });
        using var engine = new EncoderEngine(session, new EncoderSettings { Rows = rows, Tokens = tokens }, metrics, TimeProvider.System, NullLogger.Instance);
        EncoderText[] texts = [.. Enumerable.Range(0, 9).Select(i => new EncoderText(new([5, 6, 7, i], [1]), 2, default))];
        Assert.Equal(Admission.Accepted, engine.Submit(texts));
        await Task.WhenAll(texts.Select(text => text.Found)).WaitAsync(TestServer.Patience);
        Assert.Equal(runs, metrics.Executions.Value("encode"));
        Assert.True(engine.Health.IsHealthy);
        Assert.Equal((0, 0), (engine.Waiting, engine.Running));
    }

    [Fact]
    public async Task Engine_LeavesOutTextsWhoseRequestsAreGone_AndTakesNoneOnceEnded()
    {
        var metrics = new ServingMetrics();
        var engine = new EncoderEngine(
            new EncoderSession(ModelPackage.Open(_package.Folder), new SessionSettings { Threads = 1 }), new EncoderSettings(), metrics, TimeProvider.System, NullLogger.Instance);
        using var gone = new CancellationTokenSource();
        await gone.CancelAsync();
        var (cancelled, read) = (new EncoderText(new([5], [0]), 1, gone.Token), new EncoderText(new([6], [0]), 1, default));
        engine.Submit([cancelled, read]);
        await read.Found.WaitAsync(TestServer.Patience);
        Assert.False(cancelled.Found.IsCompleted);
        Assert.Equal(1, metrics.PromptTokens.Value());
        engine.Dispose();
        Assert.Equal(Admission.EngineDead, engine.Submit([new EncoderText(new([5], [0]), 1, default)]));
    }

    public void Dispose() => _package.Dispose();
}
