using OnnxLlm.Text.Files;
using OnnxLlm.Text.Shards;

namespace OnnxLlm.Text;

/// <summary>
/// Writes documents one after the other into token shards: <c>train-00000.bin</c>, …, <c>valid-00000.bin</c>, … (ids and nothing else),
/// <c>train-documents.jsonl</c>, … (where each document lies) and <c>index.json</c>. Nothing is visible before <see cref="Finish"/>,
/// and the index comes last: an interrupted writer leaves no folder that opens.
/// </summary>
public sealed class ShardWriter : IDisposable
{
    private readonly string _folder;
    private readonly ShardSettings _settings;
    private readonly SortedDictionary<string, SplitWriter> _splits = new(StringComparer.Ordinal);

    public ShardWriter(string folder, ShardSettings settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        Directory.CreateDirectory(folder);
        (_folder, _settings) = (folder, settings);
        foreach (string split in Split.All)
            _splits[split] = new SplitWriter(folder, split, settings);
    }

    /// <summary>Appends a document and the separator after it.</summary>
    /// <param name="split">One of <see cref="Split"/>.</param>
    /// <param name="id">The document's, for the list of documents.</param>
    /// <param name="tokens">Its ids, without the separator.</param>
    public void Add(string split, string id, ReadOnlySpan<int> tokens)
        => (_splits.TryGetValue(split, out var writer) ? writer : throw new TextException($"document '{id}' is of split '{split}', which is neither train nor valid")).Add(id, tokens);

    /// <summary>Puts all files in place, replacing what an earlier run left there.</summary>
    public void Finish()
    {
        foreach (var split in _splits.Values)
            split.Complete();
        string index = Path.Combine(_folder, ShardIndex.FileName);
        File.Delete(index);
        foreach (string old in Split.All.SelectMany(split => Directory.GetFiles(_folder, $"{split}-*.bin")))
            File.Delete(old);
        foreach (var split in _splits.Values)
            split.Publish();
        Json.Write(index, Index());
    }

    /// <summary>Removes what was written if it was not finished.</summary>
    public void Dispose()
    {
        foreach (var split in _splits.Values)
            split.Dispose();
    }

    private ShardIndex Index() => new()
    {
        Dtype = ShardIndex.TypeFor(_settings.VocabularySize),
        VocabularySize = _settings.VocabularySize,
        Separator = _settings.Separator,
        Tokenizer = _settings.TokenizerHash,
        Corpus = _settings.CorpusHash,
        Splits = new(_splits.ToDictionary(split => split.Key, split => split.Value.Index())),
    };
}
