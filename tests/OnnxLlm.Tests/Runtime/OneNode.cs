using System.Collections.Immutable;
using Google.Protobuf;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Tests.Runtime;

/// <summary>The smallest model: one operator whose inputs and outputs are the graph's, without stated shapes.</summary>
internal sealed record OneNode(string Op, string Domain = "onnxllm")
{
    public ImmutableArray<(string Name, ElementType Type)> Inputs { get; init; } = [];

    public ImmutableArray<(string Name, ElementType Type)> Outputs { get; init; } = [];

    public ImmutableArray<(string Name, object Value)> Attributes { get; init; } = [];

    /// <summary>What the operator does where no kernel is registered.</summary>
    public FunctionProto? Body { get; init; }

    public byte[] Model()
    {
        var model = new ModelProto { IrVersion = 10, Graph = Graph() };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 21 });
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "onnxllm", Version = 1 });
        if (Body is not null) model.Functions.Add(Body);
        return model.ToByteArray();
    }

    private GraphProto Graph()
    {
        var node = new NodeProto { OpType = Op, Domain = Domain };
        node.Input.Add(Inputs.Select(input => input.Name));
        node.Output.Add(Outputs.Select(output => output.Name));
        node.Attribute.Add(Attributes.Select(Attribute));
        var graph = new GraphProto { Name = Op };
        graph.Node.Add(node);
        graph.Input.Add(Inputs.Select(Info));
        graph.Output.Add(Outputs.Select(Info));
        return graph;
    }

    private static AttributeProto Attribute((string Name, object Value) attribute) => attribute.Value switch
    {
        float value => new() { Name = attribute.Name, F = value, Type = AttributeProto.Types.AttributeType.Float },
        int value => new() { Name = attribute.Name, I = value, Type = AttributeProto.Types.AttributeType.Int },
        _ => throw new NotSupportedException(attribute.Name),
    };

    private static ValueInfoProto Info((string Name, ElementType Type) value) => new()
    {
        Name = value.Name,
        Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)value.Type } },
    };
}
