using System.Text;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>Writes a GGUF (version 3) of a LLaMA's shape with random weights in Q8_0: blocks of 32 signed bytes with a half-precision scale each.</summary>
internal sealed class GgufFile : IDisposable
{
    private const int Alignment = 32, Block = 32, Seed = 1;
    private const uint Number = 4, Real = 6, Words = 8, Float32 = 0, Q8 = 8;

    /// <summary>Uniform bytes have a standard deviation of 74; weights are to have 0.02.</summary>
    private static readonly Half Scale = (Half)(0.02 / 74);

    private readonly BinaryWriter _file;
    private readonly Random _random = new(Seed);

    private GgufFile(string path) => _file = new BinaryWriter(File.Create(path));

    public static void Write(string path, ModelConfig config)
    {
        using var file = new GgufFile(path);
        (string Name, long[] Shape)[] tensors = [.. Tensors(config)];
        file.Head(config, tensors);
        foreach (var (_, shape) in tensors) file.Contents(shape);
    }

    public void Dispose() => _file.Dispose();

    private static IEnumerable<(string Name, long[] Shape)> Tensors(ModelConfig c)
    {
        yield return ("token_embd.weight", [c.Width, c.VocabularySize]);
        for (int layer = 0; layer < c.Layers; layer++)
        {
            string block = FormattableString.Invariant($"blk.{layer}.");
            yield return (block + "attn_norm.weight", [c.Width]);
            yield return (block + "attn_q.weight", [c.Width, c.Width]);
            yield return (block + "attn_k.weight", [c.Width, c.KeyValueWidth]);
            yield return (block + "attn_v.weight", [c.Width, c.KeyValueWidth]);
            yield return (block + "attn_output.weight", [c.Width, c.Width]);
            yield return (block + "ffn_norm.weight", [c.Width]);
            yield return (block + "ffn_gate.weight", [c.Width, c.FeedForward]);
            yield return (block + "ffn_up.weight", [c.Width, c.FeedForward]);
            yield return (block + "ffn_down.weight", [c.FeedForward, c.Width]);
        }

        yield return ("output_norm.weight", [c.Width]);
        if (!c.TiedEmbeddings) yield return ("output.weight", [c.Width, c.VocabularySize]);
    }

    private static long Size(long[] shape) => shape.Length == 1 ? shape[0] * sizeof(float) : shape[0] * shape[1] / Block * (Block + 2);

    private static long Aligned(long size) => (size + Alignment - 1) / Alignment * Alignment;

    private void Head(ModelConfig c, (string Name, long[] Shape)[] tensors)
    {
        (string Key, object Value)[] facts =
        [
            ("general.architecture", "llama"), ("tokenizer.ggml.model", "no_vocab"), ("llama.vocab_size", c.VocabularySize), ("llama.context_length", c.MaxPositions),
            ("llama.embedding_length", c.Width), ("llama.block_count", c.Layers), ("llama.feed_forward_length", c.FeedForward), ("llama.attention.head_count", c.Heads),
            ("llama.attention.head_count_kv", c.KeyValueHeads), ("llama.rope.dimension_count", c.HeadSize), ("llama.attention.layer_norm_rms_epsilon", (float)c.NormEpsilon),
        ];
        _file.Write("GGUF"u8);
        _file.Write(3);
        _file.Write((long)tensors.Length);
        _file.Write((long)facts.Length);
        foreach (var (key, value) in facts) Fact(key, value);
        long offset = 0;
        foreach (var (name, shape) in tensors)
        {
            Text(name);
            _file.Write(shape.Length);
            foreach (long size in shape) _file.Write(size);
            _file.Write(shape.Length == 1 ? Float32 : Q8);
            _file.Write(offset);
            offset += Aligned(Size(shape));
        }

        Pad();
    }

    private void Fact(string key, object value)
    {
        Text(key);
        switch (value)
        {
            case string text: _file.Write(Words); Text(text); break;
            case float number: _file.Write(Real); _file.Write(number); break;
            default: _file.Write(Number); _file.Write((uint)(int)value); break;
        }
    }

    private void Text(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        _file.Write((long)bytes.Length);
        _file.Write(bytes);
    }

    /// <summary>Norms are ones.</summary>
    private void Contents(long[] shape)
    {
        if (shape.Length == 1) for (long i = 0; i < shape[0]; i++) _file.Write(1f);
        else Blocks(shape[0] * shape[1] / Block);
        Pad();
    }

    private void Blocks(long count)
    {
        Span<byte> values = stackalloc byte[Block];
        for (long block = 0; block < count; block++)
        {
            _random.NextBytes(values);
            _file.Write(Scale);
            _file.Write(values);
        }
    }

    private void Pad()
    {
        while (_file.BaseStream.Position % Alignment != 0) _file.Write((byte)0);
    }
}
