namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// x, but not before signal is known. ONNX has no order but data dependency, and a runtime may merge equal computations: what is computed again from
/// this output can neither run early nor be replaced by what was computed from x.
/// </summary>
internal static class After
{
    internal static Function Forward { get; } = new()
    {
        Name = "After",
        Inputs = [new("x", ["N", "D"]), new("signal", ["M", "E"])],
        Outputs = ["y"],
        Infer = (inputs, _) => [(inputs[0].Type, inputs[0].Shape)],
        Body = (g, inputs) =>
        {
            // A choice between x and x that needs one element of the signal, NaN or not. No optimizer of the runtime sees through it.
            var element = g.Slice(g.Flatten(inputs[1], 0), 1, 0, 1);
            var nan = g.IsNaN(element);
            var choice = g.Reshape(g.Not(g.And(nan, g.Not(nan))), []);
            return [g.Where(choice, inputs[0], inputs[0])];
        },
    };
}
