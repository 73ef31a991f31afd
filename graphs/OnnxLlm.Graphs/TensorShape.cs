using System.Collections;
using System.Collections.Immutable;
using System.Runtime.CompilerServices;

namespace OnnxLlm.Graphs;

/// <summary>One extent of a tensor: a number, or a symbol such as <c>batch</c> that equals itself wherever it appears.</summary>
public readonly record struct Dimension
{
    private readonly long _value;

    private Dimension(long value, string? symbol) => (_value, Symbol) = (value, symbol);

    public string? Symbol { get; }

    public bool IsKnown => Symbol is null;

    /// <summary>The number; a <see cref="GraphException"/> for a symbol.</summary>
    public long Value => IsKnown ? _value : throw new GraphException($"Dimension '{Symbol}' is a symbol; a number is needed here.");

    public static implicit operator Dimension(long value) =>
        value >= 0 ? new(value, null) : throw new GraphException($"A dimension cannot be {value}.");

    public static implicit operator Dimension(string symbol) => new(0, symbol);

    public static bool operator ==(Dimension d, long value) => d.IsKnown && d._value == value;

    public static bool operator !=(Dimension d, long value) => !(d == value);

    /// <summary>The extent of a concatenation; a symbol when one of them is.</summary>
    public static Dimension Sum(IEnumerable<Dimension> dimensions) => Combine(dimensions, "+", (a, b) => a + b, 0);

    /// <summary>The extent of several axes made one; a symbol when one of them is.</summary>
    public static Dimension Product(IEnumerable<Dimension> dimensions) => Combine(dimensions, "*", (a, b) => a * b, 1);

    private static Dimension Combine(IEnumerable<Dimension> dimensions, string sign, Func<long, long, long> combine, long start) =>
        dimensions.All(d => d.IsKnown) ? dimensions.Select(d => d.Value).Aggregate(start, combine) : string.Join(sign, dimensions);

    public override string ToString() => Symbol ?? _value.ToString(System.Globalization.CultureInfo.InvariantCulture);
}

/// <summary>The extents of a tensor. The rank is always known; each dimension is a number or a symbol.</summary>
[CollectionBuilder(typeof(TensorShape), nameof(Create))]
public sealed class TensorShape : IReadOnlyList<Dimension>, IEquatable<TensorShape>
{
    private readonly ImmutableArray<Dimension> _dimensions;

    private TensorShape(ImmutableArray<Dimension> dimensions) => _dimensions = dimensions;

    public static TensorShape Scalar { get; } = new([]);

    public int Rank => _dimensions.Length;

    int IReadOnlyCollection<Dimension>.Count => Rank;

    public bool IsKnown => _dimensions.All(d => d.IsKnown);

    /// <summary>Product of the extents; a <see cref="GraphException"/> if one is a symbol.</summary>
    public long ElementCount => _dimensions.Aggregate(1L, (n, d) => n * d.Value);

    public Dimension this[int axis] => _dimensions[axis];

    public TensorShape this[Range range] => new(_dimensions[range]);

    public static TensorShape Create(ReadOnlySpan<Dimension> dimensions) => new([.. dimensions]);

    public static TensorShape Of(IEnumerable<long> extents) => new([.. extents.Select(e => (Dimension)e)]);

    public TensorShape With(int axis, Dimension dimension) => new(_dimensions.SetItem(Axis(axis), dimension));

    /// <summary>Maps an axis counted from the end (−1 is the last) to one counted from the start.</summary>
    public int Axis(int axis)
    {
        int counted = axis < 0 ? axis + Rank : axis;
        return counted >= 0 && counted < Rank ? counted : throw new GraphException($"Axis {axis} is outside shape {this}.");
    }

    public long[] ToArray() => [.. _dimensions.Select(d => d.Value)];

    public bool Equals(TensorShape? other) => other is not null && _dimensions.AsSpan().SequenceEqual(other._dimensions.AsSpan());

    public override bool Equals(object? obj) => Equals(obj as TensorShape);

    public override int GetHashCode() => _dimensions.Aggregate(17, HashCode.Combine);

    public override string ToString() => $"[{string.Join(", ", _dimensions)}]";

    public IEnumerator<Dimension> GetEnumerator() => ((IEnumerable<Dimension>)_dimensions).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>The shape two operands broadcast to, by ONNX's multidirectional rule. A symbol only broadcasts with itself and with 1.</summary>
    public static TensorShape Broadcast(TensorShape a, TensorShape b)
    {
        int rank = Math.Max(a.Rank, b.Rank);
        return new([.. Enumerable.Range(0, rank).Select(i => BroadcastOne(At(a, i), At(b, i)))]);

        Dimension At(TensorShape s, int i) => i < rank - s.Rank ? 1 : s[i - (rank - s.Rank)];
        Dimension BroadcastOne(Dimension x, Dimension y) =>
            x == y || y == 1 ? x : x == 1 ? y : throw new GraphException($"Shapes {a} and {b} do not broadcast.");
    }
}
