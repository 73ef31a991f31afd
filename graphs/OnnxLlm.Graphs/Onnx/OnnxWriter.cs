using Google.Protobuf;

namespace OnnxLlm.Graphs.Onnx;

/// <summary>The contents of a parameter, by name; null leaves the parameter an input of the graph.</summary>
public delegate TensorData? WeightSource(string name);

/// <summary>Turns a graph into an ONNX model. The same graph gives the same bytes.</summary>
public static class OnnxWriter
{
    /// <summary>The highest pair that the genuine ORT Training runtime 1.19.2 also accepts.</summary>
    public const int Opset = 21, IrVersion = 10;

    /// <summary>What ONNX pairs with opset 23.</summary>
    private const int LaterIrVersion = 11;

    public static ModelProto Write(Graph graph, WeightSource? weights = null)
    {
        var model = new ModelProto { IrVersion = graph.Opset > Opset ? LaterIrVersion : IrVersion, ProducerName = "OnnxLlm", Graph = WriteGraph(graph, weights) };
        model.Functions.AddRange(graph.Functions.Select(WriteFunction));
        model.OpsetImport.AddRange(OpsetsOf(graph.Nodes.Concat(graph.Functions.SelectMany(f => f.Define().Nodes)), graph.Opset));
        return model;
    }

    /// <summary>Stores the definition of a function in a model whose nodes use it.</summary>
    public static void Define(ModelProto model, Function function)
    {
        FunctionProto definition = WriteFunction(function);
        model.Functions.Add(definition);
        foreach (string domain in definition.OpsetImport.Select(o => o.Domain).Append(Function.Domain).Except(model.OpsetImport.Select(o => o.Domain)).ToList())
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = domain, Version = 1 });
    }

    private static GraphProto WriteGraph(Graph graph, WeightSource? weights)
    {
        var names = new NameAuthority(graph);
        var proto = new GraphProto { Name = graph.Name };
        foreach (var input in graph.Inputs)
        {
            if (input.IsParameter && weights?.Invoke(input.Name!) is { } data) proto.Initializer.Add(WriteParameter(input, data));
            else proto.Input.Add(WriteInfo(input.Name!, input));
            if (input.Default is { } usual) proto.Initializer.Add(WriteTensor(input.Name!, usual));    // input and initializer: an input that may be left out
        }
        proto.Initializer.AddRange(Constants(graph).Select(c => WriteTensor(names.Of(c), c.Data!)));
        proto.Node.AddRange(graph.Nodes.Select(n => WriteNode(n, names)));
        proto.ValueInfo.AddRange(OfFunctions(graph).Select(v => WriteInfo(names.Of(v), v)));
        foreach (var (name, value) in graph.Outputs)
        {
            proto.Output.Add(WriteInfo(name, value));
            if (names.Of(value) != name) proto.Node.Add(new NodeProto { OpType = "Identity", Name = name, Input = { names.Of(value) }, Output = { name } });
        }
        return proto;
    }

    private static FunctionProto WriteFunction(Function function)
    {
        var body = function.Define();
        var names = new NameAuthority(body);
        var proto = new FunctionProto { Name = function.Name, Domain = Function.Domain };
        proto.Input.AddRange(function.Inputs.Select(p => p.Name));
        proto.Output.AddRange(function.Outputs);
        proto.AttributeProto.AddRange(function.Attributes.Select(a => WriteAttribute(a.Name, a.Default)));
        proto.OpsetImport.AddRange(OpsetsOf(body.Nodes, Opset));

        // A function has no initializers: its constants are nodes.
        proto.Node.AddRange(Constants(body).Select(c => WriteConstant(names.Of(c), c.Data!)));
        proto.Node.AddRange(body.Nodes.Select(n => WriteNode(n, names)));
        foreach (var (name, value) in body.Outputs)
            if (names.Of(value) != name) proto.Node.Add(new NodeProto { OpType = "Identity", Input = { names.Of(value) }, Output = { name } });
        return proto;
    }

    private static NodeProto WriteNode(Node node, NameAuthority names)
    {
        var proto = new NodeProto { OpType = node.Op, Name = names.Of(node) };
        if (node.Domain.Length > 0) proto.Domain = node.Domain;
        proto.Input.AddRange(node.Inputs.Select(v => v is null ? "" : names.Of(v)));
        proto.Output.AddRange(node.Outputs.Select(names.Of));
        proto.Attribute.AddRange(node.Attributes.Items.Select(a => WriteAttribute(a.Name, a.Value)));
        return proto;
    }

    private static NodeProto WriteConstant(string name, TensorData data) =>
        new() { OpType = "Constant", Output = { name }, Attribute = { WriteAttribute("value", data) } };

    private static AttributeProto WriteAttribute(string name, AttributeValue value)
    {
        var proto = new AttributeProto { Name = name };
        switch (value.Content)
        {
            case long i: (proto.I, proto.Type) = (i, AttributeProto.Types.AttributeType.Int); break;
            case float f: (proto.F, proto.Type) = (f, AttributeProto.Types.AttributeType.Float); break;
            case string s: (proto.S, proto.Type) = (ByteString.CopyFromUtf8(s), AttributeProto.Types.AttributeType.String); break;
            case TensorData t: (proto.T, proto.Type) = (WriteTensor("", t), AttributeProto.Types.AttributeType.Tensor); break;
            case long[] items: proto.Ints.AddRange(items); proto.Type = AttributeProto.Types.AttributeType.Ints; break;
            case float[] items: proto.Floats.AddRange(items); proto.Type = AttributeProto.Types.AttributeType.Floats; break;
            case AttributeReference r: (proto.RefAttrName, proto.Type) = (r.Name, WriteAttribute(name, r.Sample).Type); break;
            default: throw new GraphException($"Attribute '{name}' has no value.");
        }
        return proto;
    }

    private static TensorProto WriteParameter(Value parameter, TensorData data) => data.Shape.Equals(parameter.Shape)
        ? WriteTensor(parameter.Name!, data)
        : throw new GraphException($"Parameter '{parameter.Name}' has shape {parameter.Shape}, its weights have {data.Shape}.");

    internal static TensorProto WriteTensor(string name, TensorData data)
    {
        var proto = new TensorProto { DataType = (int)data.Type, RawData = UnsafeByteOperations.UnsafeWrap(data.Bytes) };
        if (name.Length > 0) proto.Name = name;
        proto.Dims.AddRange(data.Shape.ToArray());
        return proto;
    }

    private static ValueInfoProto WriteInfo(string name, Value value)
    {
        var shape = new TensorShapeProto();
        shape.Dim.AddRange(value.Shape.Select(d =>
            d.IsKnown ? new TensorShapeProto.Types.Dimension { DimValue = d.Value } : new TensorShapeProto.Types.Dimension { DimParam = d.Symbol }));
        return new() { Name = name, Type = new() { TensorType = new() { ElemType = (int)value.Type, Shape = shape } } };
    }

    /// <summary>
    /// What functions give, where the shape is known: a runtime that has a kernel for a function knows no shape that the file does not tell,
    /// and reuses memory only between tensors of known shapes.
    /// </summary>
    private static IEnumerable<Value> OfFunctions(Graph graph) =>
        graph.Nodes.Where(n => n.Function is not null).SelectMany(n => n.Outputs).Except(graph.Outputs.Select(o => o.Value)).Where(v => v.Shape.All(d => d.IsKnown));

    private static IEnumerable<Value> Constants(Graph graph) =>
        graph.Nodes.SelectMany(n => n.Inputs).OfType<Value>().Concat(graph.Outputs.Select(o => o.Value)).Where(v => v.Data is not null).Distinct();

    private static IEnumerable<OperatorSetIdProto> OpsetsOf(IEnumerable<Node> nodes, int standard) =>
        nodes.Select(n => n.Domain).Append("").Distinct().Order(StringComparer.Ordinal)
            .Select(domain => new OperatorSetIdProto { Domain = domain, Version = domain.Length == 0 ? standard : 1 });
}
