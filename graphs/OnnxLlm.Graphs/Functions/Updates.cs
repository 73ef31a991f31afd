using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Functions;

/// <summary>What the optimizer updates share.</summary>
internal static class Updates
{
    internal static IEnumerable<(ElementType Type, TensorShape Shape)> SameShape(string function, IEnumerable<Value> values)
    {
        var shape = values.First().Shape;
        return values.FirstOrDefault(v => !v.Shape.Equals(shape)) is { } other
            ? throw new GraphException($"{function} needs state and gradient of the parameter's shape {shape}, got {other.Shape}.")
            : values.Select(v => (v.Type, v.Shape));
    }

    /// <summary>Inputs of an update that keeps one tensor between steps.</summary>
    internal static ImmutableArray<FunctionPort> OneStateInputs(string state) =>
        [new("parameter", ["N", "D"]), new("gradient", ["N", "D"]), new(state, ["N", "D"]), new("learning_rate", []), new("gradient_scale", [])];

    /// <summary>The gradient of the loss and of ½·decay·|p|² together.</summary>
    internal static Value WithDecay(GraphBuilder g, Value parameter, Value gradient) => gradient + parameter * g.FloatAttribute("weight_decay", parameter);

    /// <summary>The step lr·g/(√squares + ε) that AdaGrad and RMSProp share, and the new squares.</summary>
    internal static Value[] ByRoot(GraphBuilder g, IReadOnlyList<Value> inputs, Value gradient, Value squares)
    {
        var step = gradient / (g.Sqrt(squares) + g.FloatAttribute("epsilon", inputs[0])) * inputs[3];
        return WhereFinite(g, inputs[4], (inputs[0] - step, inputs[0]), (squares, inputs[2]));
    }

    /// <summary>Every pair's first value, or its second where the scale is not finite. A choice, not a product: 0·NaN is NaN.</summary>
    internal static Value[] WhereFinite(GraphBuilder g, Value scale, params ReadOnlySpan<(Value Updated, Value Old)> pairs)
    {
        var finite = g.And(g.Not(g.IsNaN(scale)), g.Not(g.IsInf(scale)));
        var chosen = new Value[pairs.Length];
        for (int i = 0; i < pairs.Length; i++) chosen[i] = g.Where(finite, pairs[i].Updated, pairs[i].Old);
        return chosen;
    }
}
