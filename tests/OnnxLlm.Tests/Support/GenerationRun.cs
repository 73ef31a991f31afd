using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Support;

/// <summary>A generation graph on the runtime with one key/value buffer for past and present, of which each row is the cache of one sequence.</summary>
internal sealed class GenerationRun : IDisposable
{
    private readonly OrtSession _session;
    private readonly Dictionary<string, TensorBuffer> _cache = [];
    private readonly TinyModel _model;
    private readonly bool _allLogits;

    public GenerationRun(TinyModel model, int rows, bool allLogits = false)
    {
        _model = model;
        _allLogits = allLogits;
        _session = new OrtSession(Google.Protobuf.MessageExtensions.ToByteArray(Export(model)), new SessionSettings { Kernels = false, Threads = 1, Spinning = false });
        var config = model.Config;
        for (int layer = 0; layer < config.Layers; layer++)
            foreach (string name in new[] { GenerationGraph.PastKey(layer), GenerationGraph.PastValue(layer) })
                _cache[name] = TensorBuffer.Zeros(ElementType.Float, rows, config.KeyValueHeads, config.MaxPositions, config.HeadSize);
    }

    public static ModelProto Export(TinyModel model) => GenerationGraph.Export(model.Config, model.Source);

    /// <summary>
    /// Runs the new tokens of some rows, padded on the right to one length; <paramref name="counts"/> are the keys of each row, old and new.
    /// Returns the logits, row after row.
    /// </summary>
    public float[] Run(int firstRow, long[][] tokens, int[] counts)
    {
        int rows = tokens.Length, length = tokens.Max(t => t.Length), total = counts.Max();
        using var ids = TensorBuffer.Of([.. tokens.SelectMany(t => t.Concat(Enumerable.Repeat(0L, length - t.Length)))], rows, length);
        using var mask = TensorBuffer.Of([.. counts.SelectMany(c => Enumerable.Range(0, total).Select(i => i < c ? 1L : 0L))], rows, total);
        int positions = _allLogits ? length : 1;
        using var places = TensorBuffer.Of([.. Enumerable.Range(-positions, positions).Select(place => (long)place)], positions);
        using var logits = TensorBuffer.Zeros(ElementType.Float, rows * positions, 1, _model.Config.VocabularySize);
        using var bound = _session.Bind();
        if (_allLogits) bound.Input(GenerationGraph.LogitsAt, places);
        bound.Input(GenerationGraph.InputIds, ids).Input(GenerationGraph.AttentionMask, mask).Output(GenerationGraph.Logits, logits);
        foreach (var (name, buffer) in _cache)
        {
            var part = buffer.Rows(firstRow, rows);
            bound.Input(name, part).Output(name.Replace("past_key_values", "present", StringComparison.Ordinal), part);
        }
        bound.Run();
        return logits.Span<float>().ToArray();
    }

    public void Dispose()
    {
        _session.Dispose();
        foreach (var buffer in _cache.Values) buffer.Dispose();
    }
}
