using System.Collections.Immutable;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Graphs.OrtTraining;

/// <summary>
/// The optimizer model of ORT Training: one fused operator over all trainable tensors, which it takes as sequences in an order of its own. So there
/// are no groups of parameters: weight decay falls on every tensor or on none.
/// </summary>
internal static class OrtOptimizer
{
    private const string Microsoft = "com.microsoft";

    /// <param name="rates">Learning rates of steps 1, 2, …, the last also of all later ones; empty where the program that trains sets the rate.</param>
    public static ModelProto Create(OptimizerSettings settings, ImmutableArray<float> rates)
    {
        Require(settings);
        var graph = new GraphProto { Name = "optimizer" };
        bool adam = settings.Kind == OptimizerKind.AdamW;
        graph.Input.AddRange([Tensor("learning_rate", ElementType.Float, 1), Tensor("step", ElementType.Int64, 1)]);
        graph.Input.AddRange(new[] { "params", "gradients", "first_order_moments", "second_order_moments" }[..(adam ? 4 : 3)].Select(Sequence));

        string rate = LearningRate(graph, rates), gradients = Clipped(graph, settings);
        graph.Node.Add(adam ? AdamW(settings, rate, gradients) : Node("SGDOptimizerV2", [rate, "params", gradients], "update_completed"));
        graph.Output.Add(adam ? Tensor("update_completed", ElementType.Bool, 1) : Tensor("update_completed", ElementType.Bool));
        return new ModelProto
        {
            IrVersion = OnnxWriter.IrVersion,
            ProducerName = "OnnxLlm",
            Graph = graph,
            OpsetImport = { new OperatorSetIdProto { Domain = "", Version = OnnxWriter.Opset }, new OperatorSetIdProto { Domain = Microsoft, Version = 1 } },
        };
    }

    /// <summary>What ORT Training's operators cannot do is refused, not approximated.</summary>
    public static void Require(OptimizerSettings settings)
    {
        string? problem = settings switch
        {
            { Kind: not (OptimizerKind.AdamW or OptimizerKind.Sgd) } => $"has no {settings.Kind}: set optimizer.type to adamw or sgd",
            { Moments: not Moments.Fp32 } => "keeps moments in single precision: set optimizer.moments to fp32",
            { LayerDecay: not 1 } => "has one learning rate for all parameters: set optimizer.layer_decay to 1",
            { WeightDecay: 0 } => null,
            { Kind: OptimizerKind.Sgd } => "has an SGD without weight decay: set optimizer.weight_decay to 0, or optimizer.type to adamw",
            { Decay: not DecayedParameters.All } =>
                "decays norms and biases as it does matrices: set optimizer.decay to all (our own engine then does so too), or optimizer.weight_decay to 0",
            _ => null,
        };
        if (problem is not null) throw new GraphException($"ORT Training {problem}.");
    }

    private static NodeProto AdamW(OptimizerSettings settings, string rate, string gradients)
    {
        var node = Node("AdamWOptimizer", [rate, "step", "params", gradients, "first_order_moments", "second_order_moments"], "update_completed");
        node.Attribute.AddRange([Float("alpha", settings.Beta1), Float("beta", settings.Beta2), Float("epsilon", settings.Epsilon), Float("weight_decay", settings.WeightDecay)]);

        // Mode 0 is PyTorch's order: decay first, then the step.
        node.Attribute.AddRange([Int("adam_mode", 0), Int("correct_bias", 1)]);
        return node;
    }

    /// <summary>Scales all gradients down together, by min(1, clip / (norm + 1e-6)).</summary>
    private static string Clipped(GraphProto graph, OptimizerSettings settings)
    {
        if (settings.ClipNorm <= 0) return "gradients";
        var node = Node("InplaceClipGradNorm", ["gradients"], "clipped_gradients");
        node.Attribute.Add(Float("max_norm", settings.ClipNorm));
        graph.Node.Add(node);
        return "clipped_gradients";
    }

    /// <summary>The input, or the rate of the step from a table in the graph.</summary>
    private static string LearningRate(GraphProto graph, ImmutableArray<float> rates)
    {
        if (rates.IsDefaultOrEmpty) return "learning_rate";
        graph.Initializer.Add(OnnxWriter.WriteTensor("rates", TensorData.Of(ElementType.Float, [rates.Length], rates.AsSpan())));
        graph.Initializer.Add(OnnxWriter.WriteTensor("one", TensorData.Int64s(1)));
        graph.Initializer.Add(OnnxWriter.WriteTensor("last", TensorData.Int64s(rates.Length - 1)));
        graph.Node.Add(Node("Sub", ["step", "one"], "index", domain: ""));
        graph.Node.Add(Node("Min", ["index", "last"], "known_index", domain: ""));
        graph.Node.Add(Node("Gather", ["rates", "known_index"], "rate", domain: ""));
        return "rate";
    }

    private static NodeProto Node(string op, string[] inputs, string output, string domain = Microsoft)
    {
        var node = new NodeProto { OpType = op, Name = output, Output = { output } };
        if (domain.Length > 0) node.Domain = domain;
        node.Input.AddRange(inputs);
        return node;
    }

    private static AttributeProto Float(string name, float value) => new() { Name = name, F = value, Type = AttributeProto.Types.AttributeType.Float };

    private static AttributeProto Int(string name, long value) => new() { Name = name, I = value, Type = AttributeProto.Types.AttributeType.Int };

    private static ValueInfoProto Tensor(string name, ElementType type, params long[] extents)
    {
        var shape = new TensorShapeProto();
        shape.Dim.AddRange(extents.Select(extent => new TensorShapeProto.Types.Dimension { DimValue = extent }));
        return new() { Name = name, Type = new() { TensorType = new() { ElemType = (int)type, Shape = shape } } };
    }

    private static ValueInfoProto Sequence(string name) => new()
    {
        Name = name,
        Type = new() { SequenceType = new() { ElemType = new() { TensorType = new() { ElemType = (int)ElementType.Float } } } },
    };
}
