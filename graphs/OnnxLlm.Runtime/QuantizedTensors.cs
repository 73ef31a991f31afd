using System.Collections.Immutable;
using System.Runtime.InteropServices;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime.Kernels;

namespace OnnxLlm.Runtime;

/// <summary>
/// Which weights and scales of a graph lie in memory as the kernel of 8-bit products wants them: those that only such products read. With AVX-VNNI they are brought into an order of its own while they are
/// read, see <see cref="InterleavedWeights"/>; otherwise that would be done in each step, which costs a third of a product with a few rows of activations. Scales that 16 bits hold, which is how
/// they are quantized, take 16: two the place of a float.
/// </summary>
internal sealed class QuantizedTensors
{
    private readonly HashSet<string> _weights, _scales, _narrow;

    private QuantizedTensors(IEnumerable<string> interleavedWeights, IEnumerable<string> interleavedScales, IEnumerable<string> narrowScales) =>
        (_weights, _scales, _narrow) = ([.. interleavedWeights], [.. interleavedScales], [.. narrowScales]);

    public static QuantizedTensors None { get; } = new([], [], []);

    public static QuantizedTensors Of(GraphProto graph, IReadOnlyList<ExternalTensor> tensors)
    {
        if (!QuantizedProduct.TakesNarrowScales) return None;
        var external = tensors.ToDictionary(tensor => tensor.Name);
        NodeProto[] products = [.. graph.Node.Where(node => IsProduct(node) && Fit(external, node.Input[1], node.Input[2]))];
        var elsewhere = graph.Node.Except(products).SelectMany(node => node.Input).Concat(products.Select(node => node.Input[0])).ToHashSet();
        products = [.. products.Where(node => !elsewhere.Contains(node.Input[1]) && !elsewhere.Contains(node.Input[2]))];
        ExternalTensor[] scales = [.. products.Select(node => external[node.Input[2]]).Distinct()];
        if (!QuantizedProduct.Interleaves) return new([], [], NamesOf(scales.Where(tensor => tensor.Shape[1] % 2 == 0 && HasOnlyUpperHalves(tensor))));
        return new(products.Select(node => node.Input[1]), NamesOf(scales), NamesOf(scales.Where(HasOnlyUpperHalves)));
    }

    public ImmutableArray<long> ShapeOf(ExternalTensor tensor) =>
        _weights.Contains(tensor.Name) ? [tensor.Shape[0] / InterleavedWeights.Rows, tensor.Shape[1], tensor.Shape[2] / InterleavedWeights.Together, InterleavedWeights.Rows * InterleavedWeights.Together]
        : _scales.Contains(tensor.Name) ? [tensor.Shape[0] / InterleavedWeights.Rows, tensor.Shape[1], _narrow.Contains(tensor.Name) ? InterleavedWeights.NarrowScales : InterleavedWeights.Rows]
        : _narrow.Contains(tensor.Name) ? [tensor.Shape[0], tensor.Shape[1] / 2]
        : tensor.Shape;

    /// <summary>Bytes of that shape.</summary>
    public long BytesOf(ExternalTensor tensor) => _narrow.Contains(tensor.Name) ? tensor.Length / 2 : tensor.Length;

    /// <summary>Fills memory of that shape with what comes next in the file.</summary>
    public unsafe void Read(ExternalTensor tensor, Stream file, TensorBuffer memory)
    {
        bool weights = _weights.Contains(tensor.Name), narrow = _narrow.Contains(tensor.Name), scales = _scales.Contains(tensor.Name);
        Span<byte> target = memory.RawBytes();
        if (!weights && !scales && !narrow)
        {
            file.ReadExactly(target);
            return;
        }
        byte[] rows = new byte[tensor.Length / tensor.Shape[0] * InterleavedWeights.Rows];
        for (int at = 0, size = narrow ? rows.Length / 2 : rows.Length; at < target.Length; at += size)
        {
            file.ReadExactly(rows);
            fixed (byte* source = rows, place = target[at..])
            {
                if (weights) InterleavedWeights.Interleave(source, rows.Length / InterleavedWeights.Rows, place);
                else if (narrow && !scales) Narrow((float*)source, rows.Length / sizeof(float), (ushort*)place);
                else if (narrow) InterleavedWeights.InterleaveNarrowScales((float*)source, tensor.Shape[1], (ushort*)place);
                else InterleavedWeights.InterleaveScales((float*)source, tensor.Shape[1], (float*)place);
            }
        }
    }

    private static unsafe void Narrow(float* scales, int count, ushort* target)
    {
        for (int i = 0; i < count; i++) target[i] = BFloat16.Round(scales[i]);
    }

    /// <summary>Whether 16 bits of each number hold it.</summary>
    private static bool HasOnlyUpperHalves(ExternalTensor floats)
    {
        Span<uint> numbers = stackalloc uint[4096];
        using FileStream file = File.OpenRead(floats.Path);
        file.Position = floats.Offset;
        for (long left = floats.Length / sizeof(uint); left > 0; left -= numbers.Length)
        {
            numbers = numbers[..(int)Math.Min(left, numbers.Length)];
            file.ReadExactly(MemoryMarshal.AsBytes(numbers));
            foreach (uint number in numbers)
                if ((ushort)number != 0) return false;
        }
        return true;
    }

    private static bool IsProduct(NodeProto node) => node.Domain == Function.Domain && node.OpType == Graphs.Functions.QuantizedProduct.Forward.Name;

    private static bool Fit(Dictionary<string, ExternalTensor> external, string weights, string scales) =>
        external.TryGetValue(weights, out var w) && w is { Type: ElementType.UInt8, Shape.Length: 3 } && w.Shape[0] % QuantizedForms.Lanes(QuantizedForms.Best) == 0 && w.Shape[2] % QuantizedTile.Chunk == 0
        && external.TryGetValue(scales, out var s) && s.Type == ElementType.Float && s.Shape.AsSpan().SequenceEqual(w.Shape.AsSpan()[..2]);

    private static IEnumerable<string> NamesOf(IEnumerable<ExternalTensor> tensors) => tensors.Select(tensor => tensor.Name);
}
