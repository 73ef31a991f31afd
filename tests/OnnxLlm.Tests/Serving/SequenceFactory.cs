using System.Threading.Channels;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Tests.Serving;

/// <summary>Sequences and what becomes of them, for tests of the engine.</summary>
internal static class SequenceFactory
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static SamplingSettings Greedy { get; } = new() { Temperature = 0 };

    public static Sequence Create(int[] prompt, int maxTokens, SamplingSettings? sampling = null, int[]? ends = null, Channel<SequenceEvent>? output = null, int choice = 0, CancellationToken cancelled = default) =>
        new()
        {
            Prompt = [.. prompt],
            MaxTokens = maxTokens,
            Sampling = sampling ?? Greedy,
            EndTokens = [.. ends ?? []],
            Cancelled = cancelled,
            Output = output ?? Channel.CreateUnbounded<SequenceEvent>(),
            Choice = choice,
        };

    /// <summary>Submits one sequence and waits for its whole answer.</summary>
    public static async Task<(int[] Tokens, FinishReason Finish)> AnswerAsync(InferenceEngine engine, int[] prompt, int maxTokens, SamplingSettings? sampling = null, int[]? ends = null, int choice = 0)
    {
        var output = Channel.CreateUnbounded<SequenceEvent>();
        Assert.Equal(Admission.Accepted, engine.Submit([Create(prompt, maxTokens, sampling, ends, output: output, choice: choice)]));
        return await CollectAsync(output.Reader);
    }

    public static async Task<(int[] Tokens, FinishReason Finish)> CollectAsync(ChannelReader<SequenceEvent> events)
    {
        var (tokens, finish) = await GeneratedAsync(events);
        return ([.. tokens.Select(token => token.Token)], finish);
    }

    /// <summary>The tokens with their scores.</summary>
    public static async Task<(IReadOnlyList<GeneratedToken> Tokens, FinishReason Finish)> GeneratedAsync(ChannelReader<SequenceEvent> events)
    {
        var tokens = new List<GeneratedToken>();
        while (true)
        {
            switch (await events.ReadAsync().AsTask().WaitAsync(Patience))
            {
                case TokensGenerated together: tokens.AddRange(together.Tokens); break;
                case SequenceFinished finished: return (tokens, finished.Reason);
                case SequenceFailed failed: throw new InvalidOperationException("The sequence failed.", failed.Fault);
            }
        }
    }
}
