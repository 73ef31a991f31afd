namespace OnnxLlm.Text;

/// <summary>What a corpus is made of.</summary>
public sealed record CorpusSettings
{
    /// <summary>
    /// A folder (every <c>.txt</c> file below it is a document, every line of a <c>.jsonl</c> file is one), a <c>.jsonl</c> file, or a
    /// <c>.txt</c> file (cut at <c>&lt;|endoftext|&gt;</c> lines where it has them, else into runs of paragraphs).
    /// </summary>
    public required string Source { get; init; }

    /// <summary>What the source is called in the manifest; by default its file name.</summary>
    public string? Name { get; init; }

    /// <summary>Where the corpus is written.</summary>
    public required string Folder { get; init; }

    /// <summary>
    /// A file of <see cref="Filtering.ContentRules"/>: documents that hold what it keeps out of answers are left out, or masked where it says so. Null: none.
    /// </summary>
    public string? ContentFilter { get; init; }

    /// <summary>The share of documents held out, about.</summary>
    public double ValidationShare { get; init; } = 0.05;
}
