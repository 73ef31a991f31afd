using System.Collections.Immutable;
using System.Text;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime;

/// <summary>An input or output of a session; a dimension that is only known when it runs is -1.</summary>
public sealed record TensorInfo(string Name, ElementType Type, ImmutableArray<long> Shape)
{
    /// <summary>The name as the runtime's C API reads it.</summary>
    internal byte[] NativeName { get; } = [.. Encoding.UTF8.GetBytes(Name), 0];

    /// <summary>Throws unless elements of this type and shape can be bound here.</summary>
    internal void Require(ElementType type, ReadOnlySpan<long> shape)
    {
        if (type != Type)
            throw new ModelRuntimeException($"{Name} needs {Type} elements, got {type}.");
        if (!Fits(shape))
            throw new ModelRuntimeException($"{Name} needs the shape {Text(Shape)}, got {Text([.. shape])}.");
    }

    internal static string Text(ImmutableArray<long> shape) => "[" + string.Join(", ", shape.Select(Dimension)) + "]";

    private static string Dimension(long size) => size < 0 ? "?" : size.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>The binding says [] for a scalar and for a shape that the model does not state, so that is left to the run to check.</summary>
    private bool Fits(ReadOnlySpan<long> shape)
    {
        if (Shape.IsEmpty) return true;
        if (shape.Length != Shape.Length) return false;
        for (int i = 0; i < shape.Length; i++)
            if (Shape[i] >= 0 && Shape[i] != shape[i]) return false;
        return true;
    }
}
