using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Tools.Quantization;

/// <summary>What must hold before the quantizer touches a model, and what must hold of its result.</summary>
internal static class QuantizationConditions
{
    public static void Before(ModelProto model)
    {
        var graph = model.Graph;
        if (graph.Node.FirstOrDefault(n => n.OpType is QuantizedProduct.Name or "MatMulNBits" or "GatherBlockQuantized") is { } quantized)
            throw new ToolException($"The model is already quantized: node '{quantized.Name}' is a {quantized.OpType}.");
        if (graph.Node.FirstOrDefault(n => n.Attribute.Any(a => a.G is not null)) is { } branching)
            throw new ToolException($"Node '{branching.Name}' ({branching.OpType}) holds a graph of its own; the quantizer does not look into those.");
        if (graph.Initializer.FirstOrDefault(t => t.DataLocation == TensorProto.Types.DataLocation.External) is { } away)
            throw new ToolException($"Weight '{away.Name}' lies in another file; read the model with its data.");
        if (graph.Initializer.GroupBy(t => t.Name).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw new ToolException($"Two weights are named '{twice.Key}'.");
    }

    /// <summary>A violation is a mistake of the quantizer, not of the model; it must never reach a file.</summary>
    public static void After(ModelProto before, QuantizedModel result)
    {
        var graph = result.Model.Graph;
        Require(graph.Input.SequenceEqual(before.Graph.Input) && graph.Output.SequenceEqual(before.Graph.Output), "inputs or outputs changed");
        Require(graph.Initializer.Select(t => t.Name).Distinct().Count() == graph.Initializer.Count, "two weights have one name");
        RequireDefined(graph);
        var tensors = graph.Initializer.ToDictionary(t => t.Name);
        foreach (var node in graph.Node.Where(n => n.OpType == QuantizedProduct.Name)) RequireShapes(node, tensors);
        Require(graph.CalculateSize() < before.Graph.CalculateSize(), "the model did not get smaller");
    }

    private static void RequireDefined(GraphProto graph)
    {
        var defined = graph.Input.Select(i => i.Name).Concat(graph.Initializer.Select(t => t.Name)).Append("").ToHashSet();
        foreach (var node in graph.Node)
        {
            foreach (string input in node.Input) Require(defined.Contains(input), $"node '{node.Name}' reads '{input}' before it is made");
            foreach (string output in node.Output) Require(output.Length == 0 || defined.Add(output), $"'{output}' is made twice");
        }
        foreach (var output in graph.Output) Require(defined.Contains(output.Name), $"output '{output.Name}' is not made");
    }

    private static void RequireShapes(NodeProto node, Dictionary<string, TensorProto> tensors)
    {
        long Attribute(string name) => node.Attribute.FirstOrDefault(a => a.Name == name)?.I ?? -1;
        long rows = Attribute(QuantizedProduct.Rows), block = Attribute(QuantizedProduct.Block), blocks = (Attribute(QuantizedProduct.Columns) + block - 1) / block;
        Require(tensors[node.Input[1]].Dims.SequenceEqual([rows, blocks, block]), $"the values of '{node.Name}' have the wrong shape");
        Require(tensors[node.Input[2]].Dims.SequenceEqual([rows, blocks]), $"the scales of '{node.Name}' have the wrong shape");
    }

    private static void Require(bool holds, string otherwise)
    {
        if (!holds) throw new ToolException($"The quantizer made a wrong model: {otherwise}. This is a defect of OnnxLlm; nothing was written.");
    }
}
