using OnnxLlm.Text.Files;
using OnnxLlm.Text.Shards;

namespace OnnxLlm.Text;

/// <summary>
/// The tokens of one split as one long sequence, mapped into memory from its shards. Safe for several threads.
/// </summary>
public sealed class TokenShards : IDisposable
{
    private readonly MappedShard[] _shards;
    private readonly long[] _starts;

    private TokenShards(MappedShard[] shards)
    {
        _shards = shards;
        _starts = new long[shards.Length + 1];
        for (int i = 0; i < shards.Length; i++)
            _starts[i + 1] = _starts[i] + shards[i].Tokens;
    }

    /// <summary>Number of tokens, separators included.</summary>
    public long Length => _starts[^1];

    /// <summary>Every id is below this number.</summary>
    public required int VocabularySize { get; init; }

    /// <summary><see cref="Tokenizer.Hash"/> of the tokenizer that made them; empty for files that came without an index.</summary>
    public required string TokenizerHash { get; init; }

    /// <summary>SHA-256 of the index, or of the file that came without one: equal hashes, equal tokens.</summary>
    public required string Hash { get; init; }

    /// <summary>
    /// Opens one split of a folder that <see cref="ShardWriter"/> wrote, after checking every shard's length and checksum; or a folder
    /// with headerless uint16 files <c>train.bin</c> and <c>val.bin</c> (nanoGPT's), which carry nothing to check.
    /// </summary>
    /// <param name="folder">Where the shards are.</param>
    /// <param name="split">One of <see cref="Split"/>.</param>
    /// <exception cref="TextException">Something is missing, incomplete or corrupt; the message names the file.</exception>
    public static TokenShards Open(string folder, string split)
    {
        if (!Directory.Exists(folder))
            throw new TextException($"shard folder '{folder}' does not exist");
        string indexPath = Path.Combine(folder, ShardIndex.FileName);
        if (!File.Exists(indexPath))
            return OpenBare(folder, split);
        var index = ShardIndex.Read(folder);
        if (!index.Splits.TryGetValue(split, out var entries))
            throw new TextException($"{indexPath} has no split '{split}'; it has {string.Join(", ", index.Splits.Keys)}");
        return new TokenShards(OpenAll(folder, entries, index.Dtype))
        {
            VocabularySize = index.VocabularySize,
            TokenizerHash = index.Tokenizer,
            Hash = Checksum.OfFile(indexPath),
        };
    }

    /// <summary>Copies tokens from a place on; may reach over several shards.</summary>
    public void Read(long offset, Span<int> ids)
    {
        if (offset < 0 || offset > Length - ids.Length)
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"{ids.Length} tokens from there reach outside the {Length}");
        int found = Array.BinarySearch(_starts, offset);
        for (int shard = found >= 0 ? found : ~found - 1; ids.Length > 0; shard++)
        {
            int length = (int)Math.Min(ids.Length, _starts[shard + 1] - offset);
            _shards[shard].Read(offset - _starts[shard], ids[..length]);
            offset += length;
            ids = ids[length..];
        }
    }

    public void Dispose()
    {
        foreach (var shard in _shards)
            shard.Dispose();
    }

    private static MappedShard[] OpenAll(string folder, SplitIndex split, string dtype)
    {
        var shards = new List<MappedShard>();
        try
        {
            foreach (var entry in split.Shards)
                shards.Add(MappedShard.Open(folder, entry, dtype));
            return [.. shards];
        }
        catch
        {
            shards.ForEach(shard => shard.Dispose());
            throw;
        }
    }

    private static TokenShards OpenBare(string folder, string split)
    {
        string[] names = split == Split.Valid ? ["valid.bin", "val.bin"] : [$"{split}.bin"];
        string path = names.Select(name => Path.Combine(folder, name)).FirstOrDefault(File.Exists)
            ?? throw new TextException($"'{folder}' has no {ShardIndex.FileName} and no {string.Join(" or ", names)}: it holds no token shards");
        var shard = MappedShard.OpenBare(path);
        return new TokenShards([shard]) { VocabularySize = LargestId(shard) + 1, TokenizerHash = "", Hash = Checksum.OfFile(path) };
    }

    private static int LargestId(MappedShard shard)
    {
        int largest = 0;
        int[] ids = new int[1 << 16];
        for (long offset = 0; offset < shard.Tokens; offset += ids.Length)
        {
            var part = ids.AsSpan(0, (int)Math.Min(ids.Length, shard.Tokens - offset));
            shard.Read(offset, part);
            foreach (int id in part)
                largest = Math.Max(largest, id);
        }
        return largest;
    }
}
