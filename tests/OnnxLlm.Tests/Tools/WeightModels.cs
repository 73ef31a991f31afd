using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Tools;

/// <summary>Small models with weights, made for the quantizer's tests.</summary>
internal static class WeightModels
{
    /// <summary>Uniform in [−1, 1), the same for the same seed.</summary>
    public static float[] Numbers(int count, int seed = 1)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(2 * random.NextDouble() - 1))];
    }

    /// <summary>y [3, n] = x [3, k] · W, stored as [k, n].</summary>
    public static ModelProto Product(int k, int n) => Write(g =>
        g.Output("y", g.MatMul(g.Input("x", ElementType.Float, [3, k]), g.Parameter("w", [k, n]))));

    /// <summary>y = x · Wᵀ, stored as [n, k], with the transposition as a node.</summary>
    public static ModelProto TransposedProduct(int k, int n) => Write(g =>
        g.Output("y", g.MatMul(g.Input("x", ElementType.Float, [3, k]), g.Transpose(g.Parameter("w", [n, k]), 1, 0))));

    /// <summary>y = x · Wᵀ + b as one Gemm, stored as [n, k].</summary>
    public static ModelProto Gemm(int k, int n) => Write(g =>
        g.Output("y", g.Gemm(g.Input("x", ElementType.Float, [3, k]), g.Parameter("w", [n, k]), g.Parameter("b", [n]), transposeB: true)));

    /// <summary>A table that is looked up and is also the head: rows and logits [2, vocabulary], with <paramref name="layers"/> products between.</summary>
    public static ModelProto Tied(int vocabulary, int width, int layers = 1) => Write(g =>
    {
        var table = g.Parameter("embedding", [vocabulary, width]);
        var rows = g.Gather(table, g.Input("ids", ElementType.Int64, [2]));
        var x = rows;
        for (int i = 0; i < layers; i++) x = g.MatMul(x, g.Parameter($"layer.{i}", [width, width]));
        g.Output("rows", rows);
        g.Output("logits", g.MatMul(x, g.Transpose(table, 1, 0)));
    });

    public static ModelProto Write(Action<GraphBuilder> define)
    {
        var builder = new GraphBuilder();
        define(builder);
        int seed = 0;
        var weights = builder.Inputs.Where(v => v.IsParameter).ToDictionary(
            v => v.Name!, v => TensorData.Of<float>(ElementType.Float, v.Shape, Numbers((int)v.Shape.ElementCount, ++seed)));
        return OnnxWriter.Write(builder.Build(), name => weights.GetValueOrDefault(name));
    }

    public static float[] Run(ModelProto model, string output, TensorBuffer input)
    {
        using var session = new OrtSession(Google.Protobuf.MessageExtensions.ToByteArray(model), new SessionSettings { Threads = 1, Kernels = false });
        var results = session.Run(new Dictionary<string, TensorBuffer> { [session.Inputs[0].Name] = input });
        return results[output].Span<float>().ToArray();
    }
}
