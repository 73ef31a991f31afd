using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Graphs.Generation;

/// <summary>
/// What models for answering have in common: few large products over [batch, sequence, D] in the form that quantization and the runtime's prepacking want, and
/// a residual sum and its norm as one operator.
/// </summary>
internal abstract class InferenceParts(GraphBuilder g, ModelConfig config) : ModelParts(g, config)
{
    /// <summary>How parameters of this graph come from those of the family's files; the rest are the same.</summary>
    private readonly Dictionary<string, MergedWeight> _weights = [];

    /// <summary>The parameters of this graph, by name, from those of the family's files.</summary>
    public WeightSource Read(WeightSource weights) => name => _weights.TryGetValue(name, out var merged)
        ? merged.Read(weights)
        : weights(name) ?? throw new GraphException($"The weights lack '{name}'.");

    public override Value Rows(Value x) => x;

    public override Value Linear(Value x, Projection projection) => Linear(x, projection.Name, projection);

    public override Value LayerNorm(ref Value x, string name) => Norm(ref x, "LayerNormalization", SkipNorm.Layer, Gain($"{name}.weight"), Gain($"{name}.bias"));

    /// <summary>The runtime keeps its RMSNorm in the standard domain under this name.</summary>
    public override Value RmsNorm(ref Value x, string name) => Norm(ref x, "SimplifiedLayerNormalization", SkipNorm.Rms, Gain($"{name}.weight"));

    public override Value SwiGlu(Value h, Projection gate, Projection up) => Functions.SwiGlu.Packed.Call(Graph, [Linear(h, "mlp.gate_up_proj", gate, up)])[0];

    /// <summary>One product for all projections of x, their results side by side.</summary>
    protected Value Linear(Value x, string name, params ReadOnlySpan<Projection> projections)
    {
        var all = projections.ToArray();
        int outputs = all.Sum(p => p.Outputs);
        var y = Graph.MatMul(x, Merged(name, "weight", all, [x.Shape[x.Rank - 1], outputs]));
        return all[0].Bias ? y + Merged(name, "bias", all, [outputs]) : y;
    }

    private Value Merged(string name, string kind, Projection[] projections, TensorShape shape)
    {
        var value = Parameter($"{name}.{kind}", shape);
        string module = value.Name![..^$"{name}.{kind}".Length];
        bool transposed = shape.Rank == 2 && Config.Family != ModelFamily.Gpt2;
        _weights[value.Name] = new([.. projections.Select(p => $"{module}{p.Name}.{kind}")], transposed);
        return value;
    }

    private Value Norm(ref Value x, string op, Function ofSum, params ReadOnlySpan<Value> gains)
    {
        var epsilon = ("epsilon", (AttributeValue)(float)Config.NormEpsilon);
        if (x.Producer is not { Op: "Add" } sum || !sum[0].Shape.Equals(sum[1].Shape))
            return Graph.Emit(op, [x, .. gains], x.Type, x.Shape, ("axis", -1), epsilon);

        var outputs = ofSum.Call(Graph, [sum[0], sum[1], .. gains], epsilon);
        x = outputs[1];
        return outputs[0];
    }
}
