using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Tools.Evaluation;

namespace OnnxLlm.Tools.Quantization;

/// <summary>
/// Reads a text with a model whose cache holds floats, and says what a byte of each channel of its keys and values is to stand for. Keys are turned by their positions
/// before they are kept: of a pair of channels that turn into each other both may become as large as the pair is long, at positions that the text has not.
/// </summary>
internal static class CacheCalibration
{
    /// <summary>A byte reaches to so many times the largest magnitude of the calibration text. Beyond it, numbers are cut off.</summary>
    public const float Margin = 1.25f;

    /// <summary>[G·K] scales of each cache, by the name of its input. A channel that is always 0 has the scale 0.</summary>
    public static Dictionary<string, float[]> Scales(ModelProto model, ModelConfig config, int[] text, int threads)
    {
        if (text.Length == 0) throw new ToolException("There is no text of which the cache's scales could be found: the training shards are empty.");
        var largest = Caches(config).ToDictionary(name => name, _ => new float[config.KeyValueHeads * config.HeadSize]);
        using var reader = SequenceModel.ForAnswering(model, config.MaxPositions, threads);
        foreach (int[] window in text.Chunk(config.MaxPositions))
        {
            reader.Append(window, past: 0);
            foreach (var (name, magnitudes) in largest) Enlarge(magnitudes, reader.Cache(name).Span<float>(), config, window.Length);
        }
        if (config.IsRotary)
            for (int layer = 0; layer < config.Layers; layer++) JoinPairs(largest[GenerationGraph.PastKey(layer)], config.HeadSize);
        return largest.ToDictionary(cache => cache.Key, cache => Array.ConvertAll(cache.Value, magnitude => magnitude * Margin / sbyte.MaxValue));
    }

    private static IEnumerable<string> Caches(ModelConfig config) =>
        Enumerable.Range(0, config.Layers).SelectMany(layer => new[] { GenerationGraph.PastKey(layer), GenerationGraph.PastValue(layer) });

    /// <param name="magnitudes">[G, K].</param>
    /// <param name="cache">[G, longest length, K], of which the first positions count.</param>
    /// <param name="config">Of the model.</param>
    /// <param name="length">How many positions count.</param>
    private static void Enlarge(float[] magnitudes, ReadOnlySpan<float> cache, ModelConfig config, int length)
    {
        int size = config.HeadSize;
        for (int head = 0; head < config.KeyValueHeads; head++)
            for (int i = 0; i < length * size; i++)
            {
                ref float largest = ref magnitudes[head * size + i % size];
                largest = Math.Max(largest, Math.Abs(cache[head * config.MaxPositions * size + i]));
            }
    }

    /// <summary>The length of a pair is at most the root of the sum of what its channels were seen to reach, squared.</summary>
    private static void JoinPairs(float[] magnitudes, int size)
    {
        for (int head = 0; head < magnitudes.Length; head += size)
            for (int i = head; i < head + size / 2; i++)
                magnitudes[i] = magnitudes[i + size / 2] = float.Hypot(magnitudes[i], magnitudes[i + size / 2]);
    }
}
