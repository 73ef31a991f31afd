using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Cuda;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Runtime;

/// <summary>
/// Decoding steps on a GPU: one token for each of the first slots, by the graph whose extents are fixed. Everything is bound once for each number of rows, and its runs are replayed; tokens and lengths
/// go to the device in one copy.
/// </summary>
/// <param name="session">Of the graph for tokens.</param>
/// <param name="cache">Keys and values.</param>
/// <param name="logits">[slots, 1, V], on the device.</param>
/// <param name="device">The GPU.</param>
/// <param name="slots">Rows at most.</param>
internal sealed class RecordedSteps(OrtSession session, KeyValueCache cache, TensorBuffer logits, Device device, int slots) : IDisposable
{
    /// <summary>Elements of 256 bytes, at multiples of which memory of a GPU begins: kernels may read several at once.</summary>
    private const int Alignment = 256 / sizeof(long);

    private readonly Dictionary<int, BoundSession> _bindings = [];

    /// <summary>Where the lengths begin.</summary>
    private readonly int _lengths = Aligned(slots);

    /// <summary>The tokens of the rows, then their lengths.</summary>
    private readonly MirroredTensor _inputs = new(device, ElementType.Int64, 2 * Aligned(slots), 1);

    private readonly MirroredTensor _best = new(device, ElementType.Int64, slots, 1, 1);

    /// <summary>Runs a step. The scores stay on the device.</summary>
    public void Run(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts)
    {
        int rows = tokens.Length;
        Span<long> inputs = _inputs.Host.Span<long>();
        for (int row = 0; row < rows; row++) (inputs[row], inputs[_lengths + row]) = (tokens[row], pasts[row]);
        _inputs.Upload(_lengths + rows);
        if (!_bindings.TryGetValue(rows, out BoundSession? bound)) bound = _bindings[rows] = Bind(rows);
        bound.Run();
    }

    /// <summary>The token of each row's highest score in the step that ran last.</summary>
    public void Best(Span<int> tokens)
    {
        _best.Download(tokens.Length);
        Span<long> best = _best.Host.Span<long>();
        for (int row = 0; row < tokens.Length; row++) tokens[row] = (int)best[row];
    }

    public void Dispose()
    {
        foreach (BoundSession bound in _bindings.Values) bound.Dispose();
        _inputs.Dispose();
        _best.Dispose();
    }

    private static int Aligned(int count) => (count + Alignment - 1) / Alignment * Alignment;

    private BoundSession Bind(int rows)
    {
        BoundSession bound = session.Bind();
        cache.Bind(bound, 0, rows);
        return bound
            .Input(GenerationGraph.InputIds, _inputs.OnDevice.Rows(0, rows))
            .Input(CudaGeneration.PastLengths, _inputs.OnDevice.Rows(_lengths, rows))
            .Output(GenerationGraph.Logits, logits.Rows(0, rows))
            .Output(CudaGeneration.BestTokens, _best.OnDevice.Rows(0, rows));
    }
}
