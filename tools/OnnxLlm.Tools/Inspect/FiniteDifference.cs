using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tools.Inspect;

/// <summary>
/// Compares a gradient with the five-point difference quotient (−f(x+2h) + 8f(x+h) − 8f(x−h) + f(x−2h)) / 12h, both computed by ONNX Runtime.
/// The loss is Σ (y² + y), so that every element of dy is different and none is zero where y is.
/// </summary>
internal sealed class FiniteDifference : IDisposable
{
    /// <summary>Bound on the fifth derivatives of the losses of <see cref="GradientCases"/>, whose inputs are of size 1.</summary>
    private const double FifthDerivative = 2000;

    /// <summary>Roundings, of the size of the loss, in one evaluation of it.</summary>
    private const double Roundings = 16;

    private readonly GradientCase _case;
    private readonly TensorBuffer[] _inputs;
    private readonly TensorBuffer _loss;
    private readonly double _step;
    private readonly double _precision;

    private FiniteDifference(GradientCase gradientCase)
    {
        _case = gradientCase;
        _precision = gradientCase.Type == ElementType.Double ? Math.BitIncrement(1.0) - 1 : MathF.BitIncrement(1f) - 1;
        _step = Math.Pow(_precision, 0.2);
        var noise = new Random(1);
        _inputs = [.. gradientCase.Shapes.Select(shape => Numbers.Uniform(noise, gradientCase.Type, Extents(shape), gradientCase.Range))];
        _loss = TensorBuffer.Zeros(gradientCase.Type);
    }

    internal static Measurement Measure(GradientCase gradientCase)
    {
        using var difference = new FiniteDifference(gradientCase);
        return difference.Measure();
    }

    /// <summary>What a symbol stands for.</summary>
    internal static long Extent(string symbol) => symbol == "B" ? 2 : 3;

    public void Dispose()
    {
        foreach (TensorBuffer input in _inputs) input.Dispose();
        _loss.Dispose();
    }

    private Measurement Measure()
    {
        var g = new GraphBuilder();
        Value[] xs = [.. _case.Shapes.Select((shape, i) => g.Input($"x{i}", _case.Type, shape))];
        Value y = _case.Build(g, xs);
        if (g.Nodes.All(n => n.Op != _case.Op)) throw new ToolException($"The case '{_case}' does not use {_case.Op}.");
        Value loss = g.ReduceSum(y * y + y, keepDimensions: false);
        var gradients = Backward.Gradients(loss, xs);
        g.Output("loss", loss);
        byte[] forward = OnnxFile.ToBytes(g.Build());
        for (int i = 0; i < xs.Length; i++) g.Output($"d{i}", gradients[i]);
        double error = LargestDifference(Analytic(OnnxFile.ToBytes(g.Build())), forward);
        double truncation = Math.Pow(_step, 4) / 30 * FifthDerivative;
        double rounding = 1.5 * Roundings * _precision * Math.Max(1, Math.Abs(Numbers.Get(_loss, 0))) / _step;
        return new Measurement(_case.Op, _case.Form, _case.Type, error, truncation + rounding);
    }

    private double[][] Analytic(byte[] model)
    {
        using var session = new OrtSession(model, Numbers.OnlyBodies);
        var outputs = session.Run(_inputs.Select((x, i) => (x, i)).ToDictionary(p => $"x{p.i}", p => p.x));
        try
        {
            return [.. _inputs.Select((_, i) => Numbers.ToDoubles(outputs[$"d{i}"]))];
        }
        finally
        {
            foreach (TensorBuffer output in outputs.Values) output.Dispose();
        }
    }

    private double LargestDifference(double[][] analytic, byte[] forward)
    {
        using var session = new OrtSession(forward, Numbers.OnlyBodies);
        using BoundSession bound = session.Bind().Output("loss", _loss);
        for (int i = 0; i < _inputs.Length; i++) bound.Input($"x{i}", _inputs[i]);
        double worst = 0;
        for (int i = 0; i < _inputs.Length; i++)
            for (int j = 0; j < _inputs[i].Count; j++)
                worst = Math.Max(worst, Math.Abs(Quotient(bound, _inputs[i], j) - analytic[i][j])); // Max keeps NaN
        return worst;
    }

    private double Quotient(BoundSession bound, TensorBuffer input, int element)
    {
        double x = Numbers.Get(input, element), sum = 0;
        foreach ((int steps, int weight) in ((int, int)[])[(2, -1), (1, 8), (-1, -8), (-2, 1)])
        {
            Numbers.Set(input, element, x + steps * _step);
            bound.Run();
            sum += weight * Numbers.Get(_loss, 0);
        }
        Numbers.Set(input, element, x);
        return sum / (12 * _step);
    }

    private static long[] Extents(TensorShape shape) => [.. shape.Select(d => d.Symbol is { } symbol ? Extent(symbol) : d.Value)];
}
