using OnnxLlm.Text;
using OnnxLlm.Training.Data;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>A language in which four tokens of five follow from the one before: there is something to learn, and nothing to download.</summary>
internal static class MadeUpLanguage
{
    private const int Vocabulary = 512, Noise = 5, TrainingTokens = 2_000_000, ValidationTokens = 40_000;

    public static MicroBatch Batch(int rows, int time, int vocabulary, int seed)
    {
        int[] tokens = Tokens(rows * time + 1, vocabulary, seed);
        return new([.. tokens.Take(rows * time).Select(t => (long)t)], [.. tokens.Skip(1).Select(t => (long)t)], rows * time);
    }

    /// <summary>Shards for the runner, with a vocabulary of 512.</summary>
    public static void Write(string folder)
    {
        using var writer = new ShardWriter(folder, new ShardSettings { VocabularySize = Vocabulary, Separator = 0, TokenizerHash = "none", CorpusHash = "none" });
        writer.Add(Split.Train, "train", Tokens(TrainingTokens, Vocabulary, seed: 1));
        writer.Add(Split.Valid, "valid", Tokens(ValidationTokens, Vocabulary, seed: 2));
        writer.Finish();
    }

    private static int[] Tokens(int count, int vocabulary, int seed)
    {
        var random = new Random(seed);
        int[] tokens = new int[count];
        for (int i = 1; i < count; i++) tokens[i] = random.Next(Noise) == 0 ? random.Next(vocabulary) : (tokens[i - 1] * 5 + 3) % vocabulary;
        return tokens;
    }
}
