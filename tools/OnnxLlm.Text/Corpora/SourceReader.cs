namespace OnnxLlm.Text.Corpora;

/// <summary>A document before its split is decided.</summary>
internal sealed record SourceDocument(string Id, string Source, string Text);

/// <summary>Reads the documents of source files, passing over what is not text; blank documents are left out.</summary>
internal sealed class SourceReader(IReadOnlyList<SourceFile> files, IProgress<TextProgress>? progress)
{
    private readonly List<string> _problems = [];

    /// <summary>What was passed over so far, each as "file: reason" or "file:line: reason".</summary>
    public IReadOnlyList<string> Problems => _problems;

    public IEnumerable<SourceDocument> Read()
    {
        long done = 0, total = files.Sum(file => new FileInfo(file.Path).Length);
        foreach (var file in files)
        {
            foreach (var document in Documents(file))
                if (!string.IsNullOrWhiteSpace(document.Text))
                    yield return document;
            done += new FileInfo(file.Path).Length;
            progress?.Report(new TextProgress("reading documents", done, total));
        }
    }

    private IEnumerable<SourceDocument> Documents(SourceFile file)
    {
        if (file.IsJsonLines)
            return JsonLines.Read(file, _problems.Add);
        if (!TextFile.TryRead(file.Path, out byte[] text, out string problem))
        {
            _problems.Add(problem);
            return [];
        }
        return file.IsAlone ? TextCutter.Cut(text).Select((part, number) => new SourceDocument($"{file.Stem}#{number + 1:D6}", file.Name, part))
            : [new SourceDocument(file.Stem, file.Name, System.Text.Encoding.UTF8.GetString(text))];
    }
}
