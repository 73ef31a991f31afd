using System.Runtime.InteropServices;
using Google.Protobuf;
using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Tools.Quantization;

/// <summary>
/// Weight-only INT8 as a pass over a model: products with a weight become <see cref="QuantizedProduct"/>s, lookups in a float table become
/// GatherBlockQuantized, and a weight that both read is stored once. Everything else stays as it was. The same model gives the same bytes.
/// </summary>
internal sealed class WeightQuantizer
{
    private readonly QuantizationSettings _settings;
    private readonly ModelProto _model;
    private readonly Dictionary<(string Weight, bool Turned, WeightRole Role), (string Values, string Scales)> _stored = [];
    private readonly Dictionary<(string Weight, bool Turned), BlockMatrix> _matrices = [];
    private readonly HashSet<(string Weight, bool Turned)> _multiplied = [];
    private readonly List<QuantizedWeight> _quantized = [];
    private readonly List<KeptWeight> _kept = [];

    private WeightQuantizer(ModelProto model, QuantizationSettings settings) => (_model, _settings) = (model, settings);

    private GraphProto Graph => _model.Graph;

    /// <summary>A new model; <paramref name="model"/> is not changed. A <see cref="ToolException"/> says why a model is refused.</summary>
    public static QuantizedModel Quantize(ModelProto model, QuantizationSettings settings)
    {
        settings.Check();
        QuantizationConditions.Before(model);
        var result = new WeightQuantizer(model.Clone(), settings).Run();
        QuantizationConditions.After(model, result);
        return result;
    }

    private QuantizedModel Run()
    {
        var finder = new WeightFinder(Graph);
        _multiplied.UnionWith(Graph.Node.Select(finder.Find).OfType<WeightUse>().Where(use => use.Role == WeightRole.Product).Select(use => (use.Weight.Name, use.Turned)));
        NodeProto[] rewritten = [.. Graph.Node.SelectMany(node => Rewrite(node, finder.Find(node)))];
        if (_quantized.Count == 0) throw new ToolException($"There is nothing to quantize: {WhyNothing()}.");
        Graph.Node.Clear();
        Graph.Node.AddRange(rewritten);
        RemoveUnused();
        OnnxWriter.Define(_model, QuantizedProduct.Forward);
        return new(_model, [.. _quantized], [.. _kept]);
    }

    private IEnumerable<NodeProto> Rewrite(NodeProto node, WeightUse? use)
    {
        if (use is null) return [node];
        if (use.Refusal(_settings) is { } reason)
        {
            _kept.Add(new(use.Weight.Name, node.Name, reason));
            return [node];
        }
        var matrix = Matrix(use);
        // Rows without padding look the same to both operators, so a table that is also the head is stored once.
        var role = use.Role == WeightRole.Lookup && matrix.Columns % matrix.Block == 0 && _multiplied.Contains((use.Weight.Name, use.Turned)) ? WeightRole.Product : use.Role;
        var (values, scales) = Store(use, matrix, role);
        return use.Role == WeightRole.Product ? Operators.Product(node, matrix, values, scales) : Operators.Lookup(node, matrix, values, scales, inBlocks: role == WeightRole.Product);
    }

    private BlockMatrix Matrix(WeightUse use)
    {
        if (_matrices.TryGetValue((use.Weight.Name, use.Turned), out var known)) return known;
        var stored = Floats(use.Weight);
        var rows = use.Turned ? BlockMatrix.Transpose(stored, use.Rows) : stored;
        var matrix = _matrices[(use.Weight.Name, use.Turned)] = BlockMatrix.Quantize(rows, use.Columns, _settings.Block);
        _quantized.Add(QuantizedWeight.Measure(use.Weight.Name, rows, matrix));
        return matrix;
    }

    /// <summary>Names of the initializers that hold the matrix, made at its first use.</summary>
    private (string Values, string Scales) Store(WeightUse use, BlockMatrix matrix, WeightRole role)
    {
        if (_stored.TryGetValue((use.Weight.Name, use.Turned, role), out var names)) return names;
        string stem = use.Weight.Name + (use.Turned ? ".turned" : "") + (role == WeightRole.Lookup ? ".table" : "");
        names = _stored[(use.Weight.Name, use.Turned, role)] = ($"{stem}.int8", $"{stem}.scale");
        Graph.Initializer.Add(role == WeightRole.Product
            ? Bytes(names.Values, matrix.Values, matrix.Rows, matrix.BlocksPerRow, matrix.Block)
            : Bytes(names.Values, matrix.WithoutPadding(), matrix.Rows, matrix.Columns));
        Graph.Initializer.Add(Tensor(names.Scales, TensorProto.Types.DataType.Float, MemoryMarshal.AsBytes<float>(matrix.Scales).ToArray(), matrix.Rows, matrix.BlocksPerRow));
        return names;
    }

    private void RemoveUnused()
    {
        var read = Graph.Node.Where(n => n.OpType != "Transpose").SelectMany(n => n.Input).Concat(Graph.Output.Select(o => o.Name)).ToHashSet();
        Graph.Node.Keep(n => n.OpType != "Transpose" || read.Contains(n.Output[0]) || !_matrices.Keys.Any(k => k.Weight == n.Input[0]));
        read.UnionWith(Graph.Node.SelectMany(n => n.Input));
        Graph.Initializer.Keep(t => read.Contains(t.Name));
    }

    private string WhyNothing() => _kept.Count == 0
        ? "no product or lookup reads a weight that is stored in the model"
        : string.Join("; ", _kept.Select(k => $"{k.Name}: {k.Reason}").Distinct().Take(3));

    private static ReadOnlySpan<float> Floats(TensorProto tensor)
    {
        var values = tensor.RawData.Length > 0 ? MemoryMarshal.Cast<byte, float>(tensor.RawData.Span) : tensor.FloatData.ToArray();
        if (values.Length != tensor.Dims.Aggregate(1L, (n, d) => n * d))
            throw new ToolException($"Weight '{tensor.Name}' has {values.Length} numbers, its shape is {string.Join(" x ", tensor.Dims)}.");
        foreach (float value in values)
            if (!float.IsFinite(value)) throw new ToolException($"Weight '{tensor.Name}' holds {value}; a model with such weights cannot be quantized.");
        return values;
    }

    private static TensorProto Bytes(string name, byte[] values, params ReadOnlySpan<long> shape) => Tensor(name, TensorProto.Types.DataType.Uint8, values, shape);

    private static TensorProto Tensor(string name, TensorProto.Types.DataType type, byte[] content, params ReadOnlySpan<long> shape)
    {
        var tensor = new TensorProto { Name = name, DataType = (int)type, RawData = UnsafeByteOperations.UnsafeWrap(content) };
        tensor.Dims.AddRange(shape.ToArray());
        return tensor;
    }
}
