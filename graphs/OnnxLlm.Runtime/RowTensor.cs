using System.Numerics;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime;

/// <summary>
/// Rows that begin and end at different times, each of so many tokens: [rows, length, width] in the host's memory. It is as long as the longest row needs, rounded up, and is laid out
/// anew where that changes. What is behind a row's tokens has a weight of 0, but must be a number all the same, or the sum is none: a row begins with zeros.
/// </summary>
internal sealed class RowTensor(ElementType type, long width) : IDisposable
{
    private const int Shortest = 16;

    private TensorBuffer? _buffer;

    /// <summary>Tokens of each row.</summary>
    public long Length => _buffer!.Shape[1];

    /// <summary>The first rows, as one tensor.</summary>
    public TensorBuffer Rows(int count) => _buffer!.Rows(0, count);

    /// <summary>Makes room for so many rows and tokens; keeps the first <paramref name="held"/> rows. True where the memory is another one than before.</summary>
    public bool Fit(int held, int rows, int length)
    {
        long wanted = BitOperations.RoundUpToPowerOf2((uint)Math.Max(length, Shortest));
        if (_buffer is { } fits && fits.Shape[0] >= rows && Length == wanted) return false;
        TensorBuffer fresh = TensorBuffer.Zeros(type, Math.Max(rows, _buffer?.Shape[0] ?? 0), wanted, width), former = _buffer ?? fresh;
        long kept = Math.Min(former.Shape[1], wanted) * width;
        for (int row = 0; row < held; row++) fresh.View(row * wanted * width, kept).CopyFrom(former.View(row * former.Shape[1] * width, kept));
        _buffer?.Dispose();
        _buffer = fresh;
        return true;
    }

    /// <summary>Makes a row zeros, whatever another left there.</summary>
    public void Clear(int row) => _buffer!.Rows(row, 1).RawBytes().Clear();

    /// <summary>Writes the beginning of a row.</summary>
    /// <param name="tokens">[n, width] or [n · width].</param>
    public void Write(int row, TensorBuffer tokens) => _buffer!.View(row * Length * width, tokens.Count).CopyFrom(tokens.View(0, tokens.Count));

    /// <summary>Copies one row over another.</summary>
    public void Move(int from, int to) => _buffer!.Rows(to, 1).CopyFrom(_buffer!.Rows(from, 1));

    public void Dispose() => _buffer?.Dispose();
}
