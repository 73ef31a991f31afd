using OnnxLlm.Text;

namespace OnnxLlm.Benchmarks.Memory;

/// <summary>Shards of made-up tokens.</summary>
internal static class MemoryData
{
    private const int Seed = 1, TrainingTokens = 400_000, ValidationTokens = 40_000;

    /// <param name="noise">One token in so many is random, the others follow from the one before: 1 leaves nothing to learn.</param>
    public static string Write(string folder, int vocabulary, int noise)
    {
        string path = Path.Combine(folder, "shards");
        var random = new Random(Seed);
        using var writer = new ShardWriter(path, new ShardSettings { VocabularySize = vocabulary, Separator = 0, TokenizerHash = "none", CorpusHash = "none" });
        writer.Add(Split.Train, "a", Tokens(TrainingTokens));
        writer.Add(Split.Valid, "b", Tokens(ValidationTokens));
        writer.Finish();
        return path;

        int[] Tokens(int count)
        {
            int[] tokens = new int[count];
            for (int i = 1; i < count; i++) tokens[i] = random.Next(noise) == 0 ? random.Next(vocabulary) : (tokens[i - 1] * 5 + 3) % vocabulary;
            return tokens;
        }
    }
}
