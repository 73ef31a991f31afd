using System.Text;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Engine.Constraints;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>What a model of noise says under a constraint.</summary>
internal static class ConstrainedAnswer
{
    public static string Of(Constraint constraint, int seed, int maxTokens)
    {
        using var model = new NoiseModel(slots: 1, vocabularySize: TestServer.Tokenizer.VocabularySize, maxLength: 1024, seed: (ulong)seed);
        var sampler = new Sampler(model.VocabularySize);
        var sequence = new Sequence
        {
            Prompt = [5],
            MaxTokens = maxTokens,
            Sampling = new() { Seed = (ulong)seed },
            EndTokens = [TestServer.Tokenizer.Special.Eos!.Value],
            Constrained = new ConstrainedText(constraint),
            Output = SequenceFactory.Create([1], 1).Output,
        };
        var tokens = new List<int>();
        var logits = model.Prefill(0, [5], 0);
        while (true)
        {
            var token = sampler.Choose(logits, sequence);
            sequence.Append(token);
            if (!sequence.IsEnd(token)) tokens.Add(token);
            if (sequence.Finish is not null) break;
            int[] last = [token], past = [tokens.Count];
            logits = model.Decode(last, past);
        }

        return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString([.. tokens.SelectMany(token => TestServer.Tokenizer.Bytes(token).ToArray())]);
    }
}
