using OnnxLlm.Text;

namespace OnnxLlm.Benchmarks.Memory;

/// <summary>Shards of random tokens: what is in them changes neither memory nor time.</summary>
internal static class MemoryData
{
    private const int Seed = 1, TrainingTokens = 400_000, ValidationTokens = 40_000;

    public static string Write(string folder, int vocabulary)
    {
        string path = Path.Combine(folder, "shards");
        var random = new Random(Seed);
        using var writer = new ShardWriter(path, new ShardSettings { VocabularySize = vocabulary, Separator = 0, TokenizerHash = "none", CorpusHash = "none" });
        writer.Add(Split.Train, "a", Tokens(TrainingTokens));
        writer.Add(Split.Valid, "b", Tokens(ValidationTokens));
        writer.Finish();
        return path;

        int[] Tokens(int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(vocabulary))];
    }
}
