using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Text;

namespace OnnxLlm.Tools.Import;

/// <summary>
/// A model in the first format of llama2.c: seven int32 (width, feed-forward, layers, heads, key/value heads, vocabulary, positions; a negative vocabulary
/// says that the head is not the embedding table), then float32 tensors, kind by kind for all layers. What follows is the tokenizer in llama2.c's format.
/// Rotary pairs are neighbours there; here they are half a head apart, so the rows of queries and keys change places.
/// </summary>
internal sealed class Llama2cFile
{
    private const int HeaderBytes = 28;

    private readonly byte[] _bytes;
    private readonly Dictionary<string, (int Offset, ImmutableArray<int> Shape)> _tensors = [];
    private int _end = HeaderBytes;

    private Llama2cFile(string path, byte[] bytes)
    {
        _bytes = bytes;
        if (bytes.Length < HeaderBytes) throw new ToolException($"'{path}' is too short for a llama2.c model.");
        Config = ConfigOf(MemoryMarshal.Cast<byte, int>(bytes.AsSpan(0, HeaderBytes))).Validated();
        Lay(Config);
        if (_end > bytes.Length) throw new ToolException($"'{path}' is too short for its header: a llama2.c model of this size has {_end} bytes, the file {bytes.Length}.");
    }

    public ModelConfig Config { get; }

    /// <summary>Bytes of header and weights; the tokenizer begins behind them.</summary>
    public int WeightBytes => _end;

    public static Llama2cFile Read(string path) => new(path, File.ReadAllBytes(path));

    /// <summary>A parameter under its Hugging Face name, in Hugging Face's layout.</summary>
    public TensorData Weight(string name)
    {
        var (offset, shape) = _tensors.TryGetValue(name, out var found) ? found : throw new ToolException($"The file has no '{name}'.");
        TensorShape full = [.. shape.Select(size => (Dimension)size)];
        var values = MemoryMarshal.Cast<byte, float>(_bytes.AsSpan(offset, (int)full.ElementCount * sizeof(float)));
        bool rotated = name.EndsWith("q_proj.weight", StringComparison.Ordinal) || name.EndsWith("k_proj.weight", StringComparison.Ordinal);
        return TensorData.Of<float>(ElementType.Float, full, rotated ? HalvesApart(values, shape[1]) : values.ToArray());
    }

    /// <summary>llama2.c's tokenizer: the longest token's length, then for each token its score, length and bytes.</summary>
    public Tokenizer Tokenizer()
    {
        var rest = _bytes.AsSpan(_end);
        var pieces = new List<ScoredPiece>(Config.VocabularySize);
        for (int at = 4; pieces.Count < Config.VocabularySize; at += 8 + pieces[^1].Bytes.Length)
        {
            int length = rest.Length >= at + 8 ? BinaryPrimitives.ReadInt32LittleEndian(rest[(at + 4)..]) : -1;
            if (length < 0 || length > rest.Length - at - 8) throw new ToolException($"The file ends after {pieces.Count} of {Config.VocabularySize} tokens of its tokenizer.");
            pieces.Add(new(rest.Slice(at + 8, length).ToArray(), BinaryPrimitives.ReadSingleLittleEndian(rest[at..])));
        }
        return SentencePieceVocabulary.Create(pieces);
    }

    private static ModelConfig ConfigOf(ReadOnlySpan<int> header) => new()
    {
        Family = ModelFamily.Llama,
        Width = header[0],
        FeedForward = header[1],
        Layers = header[2],
        Heads = header[3],
        KeyValueHeads = header[4],
        VocabularySize = Math.Abs(header[5]),
        MaxPositions = header[6],
        TiedEmbeddings = header[5] > 0,
        BosTokenId = 1,
        EosTokenId = 1,     // llama2.c trains on texts that are parted by the token that begins them
    };

    private void Lay(ModelConfig c)
    {
        Take("model.embed_tokens.weight", c.VocabularySize, c.Width);
        Each("input_layernorm", c.Width);
        Each("self_attn.q_proj", c.Width, c.Width);
        Each("self_attn.k_proj", c.KeyValueWidth, c.Width);
        Each("self_attn.v_proj", c.KeyValueWidth, c.Width);
        Each("self_attn.o_proj", c.Width, c.Width);
        Each("post_attention_layernorm", c.Width);
        Each("mlp.gate_proj", c.FeedForward, c.Width);
        Each("mlp.down_proj", c.Width, c.FeedForward);
        Each("mlp.up_proj", c.FeedForward, c.Width);
        Take("model.norm.weight", c.Width);
        Take("rotations", c.MaxPositions, c.HeadSize);
        if (!c.TiedEmbeddings) Take("lm_head.weight", c.VocabularySize, c.Width);

        void Each(string name, params ReadOnlySpan<int> shape)
        {
            for (int layer = 0; layer < c.Layers; layer++) Take(FormattableString.Invariant($"model.layers.{layer}.{name}.weight"), shape);
        }
    }

    private void Take(string name, params ReadOnlySpan<int> shape)
    {
        _tensors[name] = (_end, [.. shape]);
        int count = sizeof(float);
        foreach (int size in shape) count = checked(count * size);
        _end = checked(_end + count);
    }

    /// <summary>Rows 0, 2, 4 … of each head, then 1, 3, 5 …</summary>
    private float[] HalvesApart(ReadOnlySpan<float> rows, int columns)
    {
        float[] moved = new float[rows.Length];
        int head = Config.HeadSize;
        for (int row = 0; row < rows.Length / columns; row++)
        {
            int place = row % head, target = row - place + place % 2 * (head / 2) + place / 2;
            rows.Slice(row * columns, columns).CopyTo(moved.AsSpan(target * columns));
        }
        return moved;
    }
}
