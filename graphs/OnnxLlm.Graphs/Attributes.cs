using System.Collections.Immutable;

namespace OnnxLlm.Graphs;

/// <summary>
/// The value of an operator's attribute: <c>long</c>, <c>float</c>, <c>string</c>, <c>long[]</c>, <c>float[]</c> or <see cref="TensorData"/>,
/// or, inside the body of a function, a reference to an attribute of that function.
/// </summary>
public readonly record struct AttributeValue
{
    private AttributeValue(object content) => Content = content;

    internal object Content { get; }

    public static implicit operator AttributeValue(long value) => new(value);

    public static implicit operator AttributeValue(int value) => new((long)value);

    public static implicit operator AttributeValue(float value) => new(value);

    public static implicit operator AttributeValue(string value) => new(value);

    public static implicit operator AttributeValue(long[] value) => new(value);

    public static implicit operator AttributeValue(int[] value) => new(Array.ConvertAll(value, v => (long)v));

    public static implicit operator AttributeValue(float[] value) => new(value);

    public static implicit operator AttributeValue(TensorData value) => new(value);

    public static implicit operator AttributeValue(ElementType value) => new((long)value);

    /// <summary>Inside a function's body: the value that the caller gives to the function's attribute <paramref name="name"/>.</summary>
    public static AttributeValue Reference(string name, AttributeValue sample) => new(new AttributeReference(name, sample));

    public override string ToString() => Content switch
    {
        long[] items => $"[{string.Join(", ", items)}]",
        float[] items => $"[{string.Join(", ", items)}]",
        AttributeReference reference => $"@{reference.Name}",
        _ => FormattableString.Invariant($"{Content}"),
    };
}

/// <param name="Name">Attribute of the enclosing function.</param>
/// <param name="Sample">A value of the same kind; only its kind is used.</param>
internal sealed record AttributeReference(string Name, AttributeValue Sample);

/// <summary>Attributes of a node, in the order they were given (the order is part of the file, and files are reproducible).</summary>
public sealed class Attributes(params ImmutableArray<(string Name, AttributeValue Value)> items)
{
    public static Attributes None { get; } = new();

    public ImmutableArray<(string Name, AttributeValue Value)> Items { get; } = items;

    public long Int(string name) => Get<long>(name);

    public float Float(string name) => Get<float>(name);

    public string Text(string name) => Get<string>(name);

    public long[] Ints(string name) => Get<long[]>(name);

    /// <summary>The attribute, or <paramref name="otherwise"/> where the node does not have it.</summary>
    public long Int(string name, long otherwise) => Find(name) is long value ? value : otherwise;

    public float Float(string name, float otherwise) => Find(name) is float value ? value : otherwise;

    private T Get<T>(string name) =>
        Find(name) is T value ? value : throw new GraphException($"There is no {typeof(T).Name} attribute '{name}'.");

    private object? Find(string name) => Items.FirstOrDefault(a => a.Name == name).Value.Content;
}
