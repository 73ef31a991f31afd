using System.Text.Json.Serialization;

namespace OnnxLlm.Text;

/// <summary>The <c>corpus.json</c> of a corpus: what it holds, made from what.</summary>
public sealed record CorpusManifest
{
    internal const string FileName = "corpus.json";
    internal const int CurrentFormat = 1;

    public int Format { get; init; } = CurrentFormat;

    public required string Source { get; init; }

    /// <summary>Hash of every source file, of the settings and of the content filter: equal inputs, equal corpus.</summary>
    public required string Inputs { get; init; }

    /// <summary>The share asked for.</summary>
    public required double ValidationShare { get; init; }

    public required CorpusPart Train { get; init; }

    public required CorpusPart Valid { get; init; }

    /// <summary>Files and lines that could not be read.</summary>
    public required int Skipped { get; init; }

    /// <summary>What the content filter did; null where there was none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CorpusFiltering? Filtering { get; init; }

    /// <summary>SHA-256 of <c>documents.jsonl</c>.</summary>
    public required string Sha256 { get; init; }
}

/// <summary>What a content filter did to a corpus.</summary>
/// <param name="Rules">SHA-256 of its file.</param>
/// <param name="Removed">Documents that were left out.</param>
/// <param name="RemovedFor">Documents by the categories and kinds of personal data found in them; one may count for several.</param>
/// <param name="Masked">Pieces of personal data that were replaced, by their kind.</param>
public sealed record CorpusFiltering(string Rules, long Removed, IReadOnlyDictionary<string, long> RemovedFor, IReadOnlyDictionary<string, long> Masked);

/// <summary>How much one split holds.</summary>
/// <param name="Documents">Their number.</param>
/// <param name="Bytes">Of text in UTF-8.</param>
public sealed record CorpusPart(long Documents, long Bytes)
{
    internal CorpusPart Plus(long bytes) => new(Documents + 1, Bytes + bytes);
}
