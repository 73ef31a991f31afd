using System.Security.Cryptography;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Training.Runs;

/// <summary>The files of a run that learns what to say of a text: <c>train.jsonl</c> and, where there is one, <c>valid.jsonl</c>.</summary>
/// <param name="input">The name of the text in a line.</param>
/// <param name="target">The name of what is to be said.</param>
internal sealed class PairFiles(string folder, string input, string target)
{
    /// <exception cref="TrainingException">There are none, or a line is no pair.</exception>
    public List<TextPair> Training => Read("train") ?? throw new TrainingException($"data: '{folder}' has no train.jsonl.");

    /// <summary>Null where there is nothing to validate on.</summary>
    /// <exception cref="TrainingException">A line is no pair, or the file is empty.</exception>
    public List<TextPair>? Validation => Read("valid");

    public string PathOf(string split) => Path.Combine(folder, $"{split}.jsonl");

    /// <summary>SHA-256 over both files.</summary>
    public string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var path in new[] { PathOf("train"), PathOf("valid") }.Where(File.Exists)) hash.AppendData(SHA256.HashData(File.ReadAllBytes(path)));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>What is told of the texts when a run begins.</summary>
    public static IEnumerable<string> Notes(ITextSequences training, ITextSequences? validation) =>
        [.. Note("train.jsonl", training), .. validation is null ? ["data: there is no valid.jsonl, so nothing is validated"] : Note("valid.jsonl", validation)];

    private static IEnumerable<string> Note(string file, ITextSequences texts) =>
        texts.Shortened == 0 ? [] : [$"data: of {texts.Shortened} of the {texts.Count} texts of {file} the end is left out: they have more than {texts.Length} tokens"];

    private List<TextPair>? Read(string split)
    {
        if (!File.Exists(PathOf(split))) return null;
        var pairs = TextPairFile.Read(PathOf(split), input, target).ToList();
        return pairs.Count > 0 ? pairs : throw new TrainingException($"data: '{PathOf(split)}' has no texts.");
    }
}
