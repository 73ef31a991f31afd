using System.Collections.Immutable;
using System.Runtime.InteropServices;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime.Kernels;

namespace OnnxLlm.Runtime;

/// <summary>
/// Which weights and scales of a graph are brought into the order that the kernel of 8-bit products wants, see <see cref="InterleavedWeights"/>, while they are read: those that only such products read. The
/// kernel then has nothing to bring into order in each step, which costs a third of a product with a few rows of activations.
/// </summary>
internal sealed class InterleavedTensors
{
    private readonly HashSet<string> _weights, _scales, _narrow;

    private InterleavedTensors(IEnumerable<string> weights, IEnumerable<ExternalTensor> scales)
    {
        (_weights, _scales) = ([.. weights], [.. scales.Select(tensor => tensor.Name)]);
        _narrow = [.. scales.Where(HasOnlyUpperHalves).Select(tensor => tensor.Name)];
    }

    public static InterleavedTensors None { get; } = new([], []);

    public static InterleavedTensors Of(GraphProto graph, IReadOnlyList<ExternalTensor> tensors)
    {
        if (!QuantizedProduct.Interleaves) return None;
        var external = tensors.ToDictionary(tensor => tensor.Name);
        NodeProto[] products = [.. graph.Node.Where(node => IsProduct(node) && Fits(external, node.Input[1]) && external.ContainsKey(node.Input[2]))];
        var elsewhere = graph.Node.Except(products).SelectMany(node => node.Input).Concat(products.Select(node => node.Input[0])).ToHashSet();
        products = [.. products.Where(node => !elsewhere.Contains(node.Input[1]) && !elsewhere.Contains(node.Input[2]))];
        return new(products.Select(node => node.Input[1]), products.Select(node => external[node.Input[2]]).Distinct());
    }

    public ImmutableArray<long> ShapeOf(ExternalTensor tensor) =>
        _weights.Contains(tensor.Name) ? [tensor.Shape[0] / InterleavedWeights.Rows, tensor.Shape[1], tensor.Shape[2] / InterleavedWeights.Together, InterleavedWeights.Rows * InterleavedWeights.Together]
        : _scales.Contains(tensor.Name) ? [tensor.Shape[0] / InterleavedWeights.Rows, tensor.Shape[1], _narrow.Contains(tensor.Name) ? InterleavedWeights.NarrowScales : InterleavedWeights.Rows]
        : tensor.Shape;

    /// <summary>Bytes of that shape.</summary>
    public long BytesOf(ExternalTensor tensor) => _narrow.Contains(tensor.Name) ? tensor.Length / 2 : tensor.Length;

    /// <summary>Fills memory of that shape with what comes next in the file.</summary>
    public unsafe void Read(ExternalTensor tensor, Stream file, TensorBuffer memory)
    {
        bool weights = _weights.Contains(tensor.Name);
        Span<byte> target = memory.RawBytes();
        if (!weights && !_scales.Contains(tensor.Name))
        {
            file.ReadExactly(target);
            return;
        }
        bool narrow = _narrow.Contains(tensor.Name);
        byte[] rows = new byte[tensor.Length / tensor.Shape[0] * InterleavedWeights.Rows];
        for (int at = 0, size = narrow ? rows.Length / 2 : rows.Length; at < target.Length; at += size)
        {
            file.ReadExactly(rows);
            fixed (byte* source = rows, place = target[at..])
            {
                if (weights) InterleavedWeights.Interleave(source, rows.Length / InterleavedWeights.Rows, place);
                else if (narrow) InterleavedWeights.InterleaveNarrowScales((float*)source, tensor.Shape[1], (ushort*)place);
                else InterleavedWeights.InterleaveScales((float*)source, tensor.Shape[1], (float*)place);
            }
        }
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

    private static bool Fits(Dictionary<string, ExternalTensor> external, string name) =>
        external.TryGetValue(name, out var tensor) && tensor is { Type: ElementType.UInt8, Shape.Length: 3 } && tensor.Shape[0] % InterleavedWeights.Rows == 0 && tensor.Shape[2] % QuantizedTile.Chunk == 0;
}
