using System.Collections.Frozen;
using System.Globalization;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Graphs.Autodiff;

/// <summary>The errors for what has no gradient: which node, what it is, what it was given, and what would do instead.</summary>
internal static class Unsupported
{
    /// <summary>Operators that people reach for, and what has a gradient in their place. For any other, the nearest name is suggested.</summary>
    private static readonly FrozenDictionary<string, string> Instead = new Dictionary<string, string>
    {
        ["Abs"] = "Where",
        ["Attention"] = "function CausalAttention",
        ["Einsum"] = "MatMul with Transpose",
        ["FastGelu"] = "function Gelu",
        ["FusedMatMul"] = "MatMul",
        ["GroupQueryAttention"] = "function CausalAttention",
        ["LayerNormalization"] = "function LayerNorm",
        ["Max"] = "Min of negated operands",
        ["MultiHeadAttention"] = "function CausalAttention",
        ["QuickGelu"] = "Sigmoid with Mul",
        ["ReduceL2"] = "function SquaredNorm with Sqrt",
        ["ReduceLogSumExp"] = "LogSoftmax",
        ["RMSNormalization"] = "function RmsNorm",
        ["SimplifiedLayerNormalization"] = "function RmsNorm",
        ["SoftmaxCrossEntropyLoss"] = "function SoftmaxCrossEntropy",
        ["Squeeze"] = "Reshape",
        ["Swish"] = "Sigmoid with Mul",
    }.ToFrozenDictionary();

    /// <summary>An operator without a rule.</summary>
    internal static GraphException Operator(Node n)
    {
        string? nearest = Instead.GetValueOrDefault(n.Op) ?? NearestName.Of(n.Op, GradientRules.Differentiable);
        return new($"Operator {n.Op} has no gradient rule: {Describe(n)}. {(nearest is null ? "No supported operator is near it." : $"Nearest supported form: {nearest}.")}");
    }

    /// <summary>An operator with a rule that does not cover how this node uses it.</summary>
    internal static GraphException Form(Node n, string supported) =>
        new($"Operator {n.Op} has no gradient rule in this form: {Describe(n)}. Nearest supported form: {n.Op} with {supported}.");

    private static string Describe(Node n)
    {
        string inputs = string.Join(", ", n.Inputs.Select(v => v is null ? "absent" : $"{v.Type}{v.Shape}"));
        string domain = n.Domain.Length == 0 ? "ai.onnx" : n.Domain;
        int opset = n.Domain.Length == 0 ? OnnxWriter.Opset : 1;
        return string.Create(CultureInfo.InvariantCulture, $"node '{NameOf(n)}', domain {domain}, opset {opset}, inputs {inputs}");
    }

    /// <summary>The name that the node would have in the file, were everything made so far written.</summary>
    private static string NameOf(Node n)
    {
        string stem = n.Scope.Length == 0 ? n.Op : $"{n.Scope}/{n.Op}";
        int before = n.Graph.Nodes.TakeWhile(other => other != n).Count(other => other.Scope == n.Scope && other.Op == n.Op);
        return before == 0 ? stem : string.Create(CultureInfo.InvariantCulture, $"{stem}_{before}");
    }
}
