namespace OnnxLlm.Graphs.Functions;

/// <summary>Gradient accumulation: the first micro-batch of a step replaces what is in the buffer, the others add to it. May work in place.</summary>
internal static class Accumulate
{
    internal static Function Forward { get; } = new()
    {
        Name = "Accumulate",
        Inputs = [new("buffer", ["N", "D"]), new("gradient", ["N", "D"]), new("reset", ElementType.Bool, [1])],
        Outputs = ["result"],
        Infer = (inputs, _) => inputs[0].Shape.Equals(inputs[1].Shape)
            ? [(inputs[0].Type, inputs[0].Shape)]
            : throw new GraphException($"Accumulate needs a gradient of the buffer's shape {inputs[0].Shape}, got {inputs[1].Shape}."),
        Body = (g, inputs) => [g.Where(inputs[2], inputs[1], inputs[0] + inputs[1])],
    };
}
