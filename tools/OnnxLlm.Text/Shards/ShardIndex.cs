using OnnxLlm.Text.Files;

namespace OnnxLlm.Text.Shards;

/// <summary>The <c>index.json</c> beside token shards: what they hold, made from what.</summary>
internal sealed record ShardIndex
{
    public const string FileName = "index.json";
    public const int CurrentFormat = 1;

    public int Format { get; init; } = CurrentFormat;

    /// <summary>"uint16" or "uint32", little-endian; the .bin files hold nothing but ids.</summary>
    public required string Dtype { get; init; }

    public required int VocabularySize { get; init; }

    /// <summary>The id that follows every document.</summary>
    public required int Separator { get; init; }

    /// <summary>The hash of the tokenizer.</summary>
    public required string Tokenizer { get; init; }

    /// <summary>The hash of the corpus.</summary>
    public required string Corpus { get; init; }

    public required SortedDictionary<string, SplitIndex> Splits { get; init; }

    public static string TypeFor(int vocabularySize) => vocabularySize <= 1 << 16 ? "uint16" : "uint32";

    /// <summary>Bytes per id.</summary>
    public static int Width(string dtype) => dtype == "uint16" ? 2 : 4;

    public static ShardIndex Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        var index = Json.Read<ShardIndex>(path);
        if (index.Format != CurrentFormat)
            throw new TextException($"{path}: format {index.Format} is not known here; this version reads {CurrentFormat}");
        return index.Dtype is "uint16" or "uint32" ? index : throw new TextException($"{path}: dtype '{index.Dtype}' is neither uint16 nor uint32");
    }
}

internal sealed record SplitIndex
{
    public required long Tokens { get; init; }

    public required long Documents { get; init; }

    public required List<ShardEntry> Shards { get; init; }
}

internal sealed record ShardEntry(string File, long Tokens, string Sha256);
