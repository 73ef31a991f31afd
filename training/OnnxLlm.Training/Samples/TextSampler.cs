using OnnxLlm.Text;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;
using OnnxLlm.Training.Metrics;

namespace OnnxLlm.Training.Samples;

/// <summary>Lets the model in training go on with fixed prompts. The same weights give the same texts: each prompt has its own fixed seed.</summary>
internal sealed class TextSampler(Tokenizer tokenizer, SamplesConfig config, int time, long seed)
{
    /// <summary>The sampler that the config asks for, or null.</summary>
    /// <exception cref="TrainingException">There is no tokenizer, or it is not the one that made the data.</exception>
    public static TextSampler? Open(RunConfig config, string tokenizerHash) => config.Samples.Every == 0 ? null
        : new TextSampler(DataTokenizer.Open(config, "samples", config.Samples.Tokenizer, tokenizerHash), config.Samples, config.Time, config.Seed);

    public IEnumerable<TextSample> Samples(ITrainingEngine engine, long step) =>
        config.Prompts.Index().Select(p => new TextSample(step, p.Item, Continue(engine, p.Item, new Random(SeedOf(p.Index)))));

    private string Continue(ITrainingEngine engine, string prompt, Random random)
    {
        List<int> tokens = [.. tokenizer.Encode(prompt).TakeLast(time - 1)];
        if (tokens.Count == 0) tokens.Add(tokenizer.Special.Eos ?? 0);
        var begin = tokens.Count;
        while (tokens.Count < time && tokens.Count < begin + config.Tokens)
        {
            var logits = engine.NextLogits([.. tokens]);
            if (logits.IsEmpty) break;
            tokens.Add(Choose(logits[..Math.Min(logits.Length, tokenizer.VocabularySize)], random));     // a model's table may be larger, for round numbers
            if (tokens[^1] == tokenizer.Special.Eos) break;
        }
        return tokenizer.Decode([.. tokens[begin..]]);
    }

    /// <summary>A token drawn with the probabilities softmax(logits / temperature), or the likeliest.</summary>
    private int Choose(ReadOnlySpan<float> logits, Random random)
    {
        var best = 0;
        for (var i = 1; i < logits.Length; i++) if (logits[i] > logits[best]) best = i;
        if (config.Temperature == 0 || !float.IsFinite(logits[best])) return best;
        var weights = new double[logits.Length];
        for (var i = 0; i < weights.Length; i++) weights[i] = Math.Exp((logits[i] - logits[best]) / config.Temperature);
        var left = random.NextDouble() * weights.Sum();
        for (var i = 0; i < weights.Length; i++)
            if ((left -= weights[i]) < 0) return i;
        return best;
    }

    private int SeedOf(int prompt) => (int)((ulong)seed * 0x9E3779B97F4A7C15 >> 33) ^ prompt;
}
