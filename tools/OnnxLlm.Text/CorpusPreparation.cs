using OnnxLlm.Text.Corpora;
using OnnxLlm.Text.Files;
using OnnxLlm.Text.Filtering;

namespace OnnxLlm.Text;

/// <summary>
/// Gathers documents into a corpus and decides, by the hash of each document's text, which are held out: adding documents moves none
/// of the others, and equal texts stay together. Only a corpus so small that nothing (or everything) would be held out bends the rule:
/// the document of least (or greatest) hash then makes up the missing part.
/// </summary>
public static class CorpusPreparation
{
    /// <summary>Writes the corpus, unless it is there already.</summary>
    /// <param name="settings">From what, to where.</param>
    /// <param name="force">Write it in any case.</param>
    /// <param name="progress">In bytes of source.</param>
    /// <exception cref="TextException">The source does not exist, holds no text, is not text, or is all filtered out; or the content filter is none.</exception>
    public static CorpusReport Run(CorpusSettings settings, bool force = false, IProgress<TextProgress>? progress = null)
    {
        ArgumentNullException.ThrowIfNull(settings);
        Check(settings);
        var files = SourceFile.Find(settings.Source);
        var rules = settings.ContentFilter is { } file ? ContentRules.Read(file) : null;
        string inputs = Inputs(files, settings, rules);
        if (!force && Corpus.IsMadeFrom(settings.Folder, inputs))
            return new CorpusReport(Corpus.Open(settings.Folder), UpToDate: true, []);
        Directory.CreateDirectory(settings.Folder);
        var written = WriteDocuments(settings, files, rules, progress);
        Json.Write(Path.Combine(settings.Folder, CorpusManifest.FileName), Manifest(settings, inputs, written));
        return new CorpusReport(Corpus.Open(settings.Folder), UpToDate: false, written.Problems);
    }

    private static void Check(CorpusSettings settings)
    {
        if (settings.ValidationShare is not (> 0 and < 1))
            throw new TextException(FormattableString.Invariant($"the validation share must lie between 0 and 1, not {settings.ValidationShare}"));
        string inside = Path.GetRelativePath(settings.Source, settings.Folder);
        if (Directory.Exists(settings.Source) && !Path.IsPathRooted(inside) && !inside.StartsWith("..", StringComparison.Ordinal))
            throw new TextException($"the corpus would be written into its own source, to '{settings.Folder}'; choose a folder outside '{settings.Source}'");
    }

    private static string Inputs(IReadOnlyList<SourceFile> files, CorpusSettings settings, ContentRules? rules) => Checksum.Of([
        FormattableString.Invariant($"corpus {CorpusManifest.CurrentFormat} {settings.ValidationShare}"),
        .. rules is null ? Array.Empty<string>() : [$"content filter {rules.Fingerprint}"],
        .. files.SelectMany(file => new[] { file.Name, file.IsAlone.ToString(), Checksum.OfFile(file.Path) })]);

    private static WrittenDocuments WriteDocuments(CorpusSettings settings, IReadOnlyList<SourceFile> files, ContentRules? rules, IProgress<TextProgress>? progress)
    {
        ulong threshold = (ulong)(settings.ValidationShare * ulong.MaxValue);
        var written = WriteDocuments(settings, files, rules, threshold, progress);
        if (written.Train.Documents > 0 && written.Valid.Documents > 0)
            return written;
        threshold = written.Valid.Documents == 0 ? written.LeastHash + 1 : written.GreatestHash;
        return WriteDocuments(settings, files, rules, threshold, progress);
    }

    private static WrittenDocuments WriteDocuments(CorpusSettings settings, IReadOnlyList<SourceFile> files, ContentRules? rules, ulong threshold, IProgress<TextProgress>? progress)
    {
        var reader = new SourceReader(files, progress);
        var written = new WrittenDocuments(threshold, new CorpusFilter(rules), reader.Problems);
        AtomicFile.Write(Corpus.DocumentsPath(settings.Folder), stream =>
        {
            foreach (var document in reader.Read())
                written.Write(stream, document);
            if (written.LeastHash >= written.GreatestHash)
                throw new TextException(TooFew(settings.Source, written, reader.Problems));
        });
        return written;
    }

    private static string TooFew(string source, WrittenDocuments written, IReadOnlyList<string> problems)
    {
        string found = written.Train.Documents + written.Valid.Documents > 0
            ? $"'{source}' holds one document; one to learn from and one to measure on are needed, separated by blank lines or in files of their own"
            : problems.Count == 0 ? $"'{source}' is empty: no text was found in it" : problems[0];
        if (written.Filtering is { Removed: > 0 and var removed }) return $"of '{source}' the content filter leaves too little: it removes {removed} documents; one to learn from and one to measure on are needed";
        return problems.Count > 1 ? $"{found} ({problems.Count} problems in all)" : found;
    }

    private static CorpusManifest Manifest(CorpusSettings settings, string inputs, WrittenDocuments written) => new()
    {
        Source = settings.Name ?? Path.GetFileName(Path.GetFullPath(settings.Source).TrimEnd(Path.DirectorySeparatorChar)),
        Inputs = inputs,
        ValidationShare = settings.ValidationShare,
        Train = written.Train,
        Valid = written.Valid,
        Skipped = written.Problems.Count,
        Filtering = written.Filtering,
        Sha256 = Checksum.OfFile(Corpus.DocumentsPath(settings.Folder)),
    };
}

/// <summary>What came of a preparation.</summary>
/// <param name="Corpus">Ready to be read.</param>
/// <param name="UpToDate">It was there already; nothing was written.</param>
/// <param name="Problems">Files and lines passed over, each as "file:line: reason".</param>
public sealed record CorpusReport(Corpus Corpus, bool UpToDate, IReadOnlyList<string> Problems);
