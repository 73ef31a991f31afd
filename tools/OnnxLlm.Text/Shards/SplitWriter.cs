using System.Text.Json;

namespace OnnxLlm.Text.Shards;

/// <summary>The shards and the list of documents of one split, under temporary names until they are published.</summary>
internal sealed class SplitWriter : IDisposable
{
    private readonly string _folder;
    private readonly string _split;
    private readonly ShardSettings _settings;
    private readonly List<ShardEntry> _shards = [];
    private readonly StreamWriter _documents;
    private readonly string _documentsPath;
    private ShardFile? _current;
    private long _tokens;
    private long _count;

    public SplitWriter(string folder, string split, ShardSettings settings)
    {
        (_folder, _split, _settings) = (folder, split, settings);
        _documentsPath = Path.Combine(folder, $"{split}-documents.jsonl");
        _documents = new StreamWriter(Temporary(_documentsPath)) { NewLine = "\n" };
    }

    public void Add(string id, ReadOnlySpan<int> tokens)
    {
        _documents.WriteLine(JsonSerializer.Serialize(new { id, offset = _tokens, length = tokens.Length }));
        _count++;
        Write(tokens);
        Write([_settings.Separator]);
    }

    /// <summary>Flushes everything to the disk.</summary>
    public void Complete()
    {
        CloseShard();
        _documents.Flush();
        ((FileStream)_documents.BaseStream).Flush(flushToDisk: true);
        _documents.Dispose();
    }

    /// <summary>Gives every file its name.</summary>
    public void Publish()
    {
        foreach (var shard in _shards)
            Rename(Path.Combine(_folder, shard.File));
        Rename(_documentsPath);
    }

    public SplitIndex Index() => new() { Tokens = _tokens, Documents = _count, Shards = _shards };

    public void Dispose()
    {
        _current?.Dispose();
        _documents.Dispose();
        foreach (string path in _shards.Select(s => Path.Combine(_folder, s.File)).Append(NextPath).Append(_documentsPath))
            File.Delete(Temporary(path));
    }

    private string NextPath => Path.Combine(_folder, $"{_split}-{_shards.Count:D5}.bin");

    private void Write(ReadOnlySpan<int> tokens)
    {
        while (tokens.Length > 0)
        {
            _current ??= new ShardFile(Temporary(NextPath), _settings.VocabularySize);
            int fitting = (int)Math.Min(tokens.Length, _settings.TokensPerShard - _current.Tokens);
            _current.Write(tokens[..fitting]);
            _tokens += fitting;
            tokens = tokens[fitting..];
            if (_current.Tokens == _settings.TokensPerShard)
                CloseShard();
        }
    }

    private void CloseShard()
    {
        if (_current is null)
            return;
        _shards.Add(new ShardEntry(Path.GetFileName(NextPath), _current.Tokens, _current.Complete()));
        _current.Dispose();
        _current = null;
    }

    private static string Temporary(string path) => $"{path}.tmp";

    private static void Rename(string path) => File.Move(Temporary(path), path, overwrite: true);
}
