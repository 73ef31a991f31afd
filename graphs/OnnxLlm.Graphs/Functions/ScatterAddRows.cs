namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// Adds rows [N, D] to the rows of a matrix [V, D] that ids [N] name, some of them more than once: the gradient of an embedding.
/// Not ScatterND with reduction "add", whose kernel in ONNX Runtime (1.29, CPU) lets its threads add to one row at the same time and loses updates.
/// </summary>
internal static class ScatterAddRows
{
    internal static Function Forward { get; } = new()
    {
        Name = "ScatterAddRows",
        Inputs = [new("into", ["V", "D"]), new("ids", ElementType.Int64, ["N"]), new("rows", ["N", "D"])],
        Outputs = ["sum"],
        Infer = (inputs, _) =>
        {
            var (into, ids, rows) = (inputs[0].Shape, inputs[1].Shape, inputs[2].Shape);
            return into.Rank == 2 && ids.Rank == 1 && rows.Equals([ids[0], into[1]])
                ? [(inputs[0].Type, into)]
                : throw new GraphException($"ScatterAddRows needs a matrix [V, D], ids [N] and rows [N, D], got {into}, {ids} and {rows}.");
        },
        Body = (g, inputs) => [g.ScatterElements(inputs[0], g.ExpandLike(g.Unsqueeze(inputs[1], -1), inputs[2]), inputs[2], axis: 0, add: true)],
        Gradient = (g, n, dy) => [dy, null, g.Gather(dy, n[1])],
    };
}
