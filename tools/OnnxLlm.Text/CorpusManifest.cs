namespace OnnxLlm.Text;

/// <summary>The <c>corpus.json</c> of a corpus: what it holds, made from what.</summary>
public sealed record CorpusManifest
{
    internal const string FileName = "corpus.json";
    internal const int CurrentFormat = 1;

    public int Format { get; init; } = CurrentFormat;

    public required string Source { get; init; }

    /// <summary>Hash of every source file and of the settings: equal inputs, equal corpus.</summary>
    public required string Inputs { get; init; }

    /// <summary>The share asked for.</summary>
    public required double ValidationShare { get; init; }

    public required CorpusPart Train { get; init; }

    public required CorpusPart Valid { get; init; }

    /// <summary>Files and lines that could not be read.</summary>
    public required int Skipped { get; init; }

    /// <summary>SHA-256 of <c>documents.jsonl</c>.</summary>
    public required string Sha256 { get; init; }
}

/// <summary>How much one split holds.</summary>
/// <param name="Documents">Their number.</param>
/// <param name="Bytes">Of text in UTF-8.</param>
public sealed record CorpusPart(long Documents, long Bytes)
{
    internal CorpusPart Plus(long bytes) => new(Documents + 1, Bytes + bytes);
}
