using System.Buffers;

namespace OnnxLlm.Runtime;

/// <summary>A stretch of a mapped file as memory, without a copy; ends with the file.</summary>
internal sealed unsafe class MappedMemory(byte* data, int length) : MemoryManager<byte>
{
    public override Span<byte> GetSpan() => new(data, length);

    public override MemoryHandle Pin(int elementIndex = 0) => new(data + elementIndex);

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
    }
}
