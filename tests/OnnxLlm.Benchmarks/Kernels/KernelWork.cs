using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Benchmarks.Kernels;

/// <summary>A function on tensors of one size, and the least that any implementation has to do for it.</summary>
/// <param name="Form">The size in words.</param>
/// <param name="Shapes">Of the inputs that are filled with numbers.</param>
/// <param name="Arguments">Makes the function's inputs of those.</param>
/// <param name="Read">Bytes that must be read.</param>
/// <param name="Written">Bytes that must be written.</param>
/// <param name="Operations">Multiplications and additions of products; 0 where memory is the limit by far.</param>
internal sealed record KernelWork(string Function, string Form, TensorShape[] Shapes, Func<Value[], Value[]> Arguments, double Read, double Written, double Operations = 0)
{
    public (string Name, AttributeValue Value)[] Attributes { get; init; } = [];

    /// <summary>Filled inputs that are signed bytes.</summary>
    public int[] Bytes { get; init; } = [];

    /// <summary>What else takes time, where the limit leaves out something that the function cannot do without.</summary>
    public string? Beyond { get; init; }

    /// <summary>Filled inputs that outputs overwrite: the i-th output lies where this input lies.</summary>
    public int[] InPlace { get; init; } = [];

    /// <summary>A graph of the function alone; the inputs are x0, x1 …, the outputs y0, y1 ….</summary>
    public Graph Graph()
    {
        var g = new GraphBuilder(Function);
        Value[] xs = [.. Shapes.Select((shape, i) => g.Input($"x{i}", TypeOf(i), shape))];
        var ys = FunctionList.Named(Function).Call(g, Arguments(xs), Attributes);
        for (int i = 0; i < ys.Length; i++) g.Output($"y{i}", ys[i]);
        return g.Build();
    }

    public ElementType TypeOf(int input) => Bytes.Contains(input) ? ElementType.Int8 : ElementType.Float;

    /// <summary>The shortest time in milliseconds that the machine allows, whichever limit is the higher.</summary>
    public double LimitMilliseconds(MachineLimits limits) =>
        1e3 * Math.Max((Read + Written) / Rate(limits), Operations / limits.PeakRate);

    public bool IsBoundByMemory(MachineLimits limits) => (Read + Written) / Rate(limits) > Operations / limits.PeakRate;

    private double Rate(MachineLimits limits) => Written == 0 ? limits.ReadRate : InPlace.Length > 0 ? limits.InPlaceRate : limits.StreamRate;
}
