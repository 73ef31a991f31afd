namespace OnnxLlm.Graphs.Cuda;

/// <summary>
/// Functions that look at one element at a time, in as few operators as they can be written: each is a kernel that reads and writes its operands whole.
/// </summary>
internal static class CudaElementwise
{
    /// <summary>√(8/π), and that times 0.044715: the tanh form of GELU is x·σ(z), z = x·(S + C·x²).</summary>
    private static readonly double S = Math.Sqrt(8 / Math.PI), C = 0.044715 * Math.Sqrt(8 / Math.PI);

    public static Value Gelu(GraphBuilder g, Value x) => g.Emit("Gelu", [x], x.Type, x.Shape, ("approximate", "tanh"));

    /// <summary>dx = dy·σ·(1 + x·(1 − σ)·z'), where x·(1 − σ) = x − y and z' = S + 3C·x².</summary>
    /// <param name="y">GELU of x, which the forward pass has computed.</param>
    public static Value GeluGrad(GraphBuilder g, Value dy, Value x, Value y)
    {
        var cubic = x * x * C;
        var slope = cubic + S;                              // z = x·slope
        return g.Sigmoid(x * slope) * ((x - y) * g.Sum([cubic, cubic, slope]) + 1) * dy;
    }

    /// <summary>With silu = gate·σ: dgate = dy·up·σ·(1 + gate − silu), dup = dy·silu.</summary>
    public static Value[] SwiGluGrad(GraphBuilder g, Value dy, Value gate, Value up)
    {
        var silu = Silu(g, gate);
        return [dy * up * g.Sigmoid(gate) * (gate - silu + 1), dy * silu];
    }

    /// <summary>x·σ(x).</summary>
    public static Value Silu(GraphBuilder g, Value x) => g.EmitMicrosoft("QuickGelu", [x], x.Type, x.Shape, ("alpha", 1f));
}
